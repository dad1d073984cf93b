"""Puts the program's output between the README's usage marks."""

import subprocess
import sys

COMMAND = ["-m", "till", "apple=3", "bread=1"]
BEGIN, END = "<!-- usage -->\n", "<!-- /usage -->\n"

printed = subprocess.run([sys.executable, *COMMAND], check=True, capture_output=True, text=True).stdout
with open("README.md", encoding="utf-8") as page:
    text = page.read()
before, rest = text.split(BEGIN)
_, after = rest.split(END)
shown = f"```text\n$ python3 {' '.join(COMMAND)}\n{printed}```\n"
with open("README.md", "w", encoding="utf-8") as page:
    page.write(before + BEGIN + shown + END + after)
