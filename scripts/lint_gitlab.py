#!/usr/bin/env python3
"""Holds the GitLab component and its examples to linters: lint_gitlab.py LINT-TOOLS E2E-TOOLS

Each example is laid out as a project of its own, and gitlab-ci-local puts the component into it as GitLab would, with types
and patterns of inputs checked. What comes out is checked against GitLab's JSON Schema and, script by script, to ShellCheck. It asks
no server, and changes nothing outside a temporary directory.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPONENT = ROOT / "templates/omk.yml"
# What an example's pipelines are started by, where that decides what is included.
SOURCE = {"plan-check.gitlab-ci.yml": "merge_request_event"}


def run(command, directory, **settings):
    env = {name: value for name, value in os.environ.items() if not re.match(r"CI$|CI_|GITLAB_|GCL_", name)}
    return subprocess.run([str(part) for part in command], cwd=directory, env={**env, **settings}, check=False, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True)


def laid_out(example, project):
    """Makes `project` a repository with the example, and the component where gitlab-ci-local keeps what it fetched."""
    # The examples' placeholder would be taken for a version number.
    text = example.read_text(encoding="utf-8").replace("@" + 40 * "0", "@" + 40 * "f")
    (project / ".gitlab-ci.yml").write_text(text, encoding="utf-8")
    for path, commit in re.findall(r"component: \$CI_SERVER_FQDN/(\S+)/omk@(\S+)", text):
        fetched = project / ".gitlab-ci-local/includes/gitlab.invalid" / path / commit / "templates/omk.yml"
        fetched.parent.mkdir(parents=True)
        fetched.write_bytes(COMPONENT.read_bytes())
    for command in [
        ["init", "--quiet", "--initial-branch=main"],
        ["remote", "add", "origin", "http://gitlab.invalid/acme/widget.git"],
        ["add", ".gitlab-ci.yml"],
        ["-c", "user.name=lint", "-c", "user.email=lint@invalid", "commit", "--quiet", "--message=lint"],
    ]:
        run(["git", *command], project).check_returncode()


def expanded(tools, example, project):
    """The example with all that it includes, as gitlab-ci-local reads it; None where it refuses."""
    laid_out(example, project)
    source = SOURCE.get(example.name, "schedule")
    # GitLab takes an empty list of tags (its own class for them has no minimum); the schema in there does not.
    out = run([tools / "bin/gitlab-ci-local", "--preview", "--ignore-schema-paths",
               "#/definitions/tags/minItems", "--variable", f"CI_PIPELINE_SOURCE={source}"], project)
    jobs = [line for line in out.stdout.splitlines() if re.match(r"[a-z][a-z-]*:$", line) and line != "stages:"]
    if out.returncode or not jobs:
        print(f"{example.relative_to(ROOT)}: gitlab-ci-local finds no jobs\n{out.stdout}{out.stderr}", file=sys.stderr)
        return None
    return out.stdout[out.stdout.index("---"):]


def main():
    lint, tools = (Path(argument).resolve() for argument in sys.argv[1:])
    examples = sorted((ROOT / "examples/gitlab").glob("*.yml"))
    failed = not examples
    schema = [sys.executable, lint / "bin/check-jsonschema", "--quiet", "--builtin-schema", "vendor.gitlab-ci"]
    shell = [sys.executable, lint / "bin/gitlab-ci-verify", "--no-lint-api"]
    for example in examples:
        with tempfile.TemporaryDirectory(prefix="omk-lint-") as place:
            project, whole = Path(place, "project"), Path(place, "whole")
            project.mkdir()
            whole.mkdir()
            text = expanded(tools, example, project)
            if text is None:
                failed = True
                continue
            run(["git", "init", "--quiet"], whole).check_returncode()
            (whole / ".gitlab-ci.yml").write_text(text, encoding="utf-8")
            for command, files in [(schema, [example, whole / ".gitlab-ci.yml"]), (shell, [])]:
                out = run([*command, *files], whole, PYTHONPATH=str(lint))
                if out.returncode:
                    failed = True
                    print(f"{example.relative_to(ROOT)}:\n{out.stdout}{out.stderr}", file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
