"""Reads the demo's report and holds it to what the demo promises; the argument is a clone of the result."""

import json
import pathlib
import subprocess
import sys

run = json.load(sys.stdin)
result = pathlib.Path(sys.argv[1])
task = {task["id"]: task for task in run["tasks"]}
broken = []


def promise(what, kept):
    if not kept:
        broken.append(what)


promise("the run is ready", run["verdict"] == "ready")
promise("at least four tasks completed", len(task) >= 4 and all(t["state"] == "completed" for t in task.values()))
promise("two prompts spoke with the model", sum(t["tokens"]["output"] > 0 for t in task.values()) == 2)
promise("discount began after prices, which it needs", task["discount"]["started"] >= task["prices"]["ended"])
promise("a red gate was followed by one retry", task["discount"]["retry_count"] == 1)
promise("the gate was the reason", task["discount"].get("failure", {}).get("class") == "gate")
first, second = sorted((task["receipt"], task["usage"]), key=lambda t: t["started"])
promise("receipt and usage overlap, and did not share time", first["ended"] <= second["started"])
promise("the result's gate passed", bool(run["gates"]) and all(gate["verdict"] == "passed" for gate in run["gates"]))
shown = subprocess.run(
    [sys.executable, "-B", "-m", "till", "apple=3", "bread=1"], cwd=result, check=True, capture_output=True, text=True
).stdout
promise("the README shows what the program prints", shown in (result / "README.md").read_text(encoding="utf-8"))
tests = subprocess.run(
    [sys.executable, "-B", "-m", "unittest", "discover", "-s", "tests", "-t", "."], cwd=result, capture_output=True
)
promise("the result's tests pass", tests.returncode == 0)

for what in broken:
    print(f"broken promise: {what}", file=sys.stderr)
sys.exit(bool(broken))
