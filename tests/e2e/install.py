#!/usr/bin/env python3
"""Puts what the end-to-end tests need into a directory, once: install.py DIRECTORY

One at a time, by a lock; what is there and fits the pinned lists is left alone. It refuses anything whose digest is not
in them.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
LISTS = ["package.json", "package-lock.json", "requirements.txt"]


def main():
    target = Path(sys.argv[1]).resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.with_name(target.name + ".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in LISTS)).hexdigest()
        stamp = target / "installed"
        if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
            return
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        for name in LISTS[:2]:
            shutil.copy(HERE / name, target)
        # Scripts of packages are not run: none of them needs one.
        npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(npm, cwd=target, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        pip += ["--only-binary=:all:", "--require-hashes", "--requirement", str(HERE / LISTS[2]), "--target", str(target / "python")]
        env = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
        subprocess.run(pip, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=env)
        stamp.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
