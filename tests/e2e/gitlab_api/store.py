"""A project's repository: a bare one on disk, real git over HTTP, and what the API reads of it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from repository import Repository  # noqa: E402  pylint: disable=wrong-import-position

# GitLab's words for what its hook refuses (doc/user/project/repository/branches/protected.md).
HOOK = """#!/bin/sh
while read -r old new ref; do
  rule=$(sed -n "s|^$ref ||p" refused-refs)
  case "$rule" in
    none) echo 'GitLab: You are not allowed to push code to protected branches on this project.' >&2; exit 1 ;;
    forward)
      case "$new" in
        *[!0]*) ;;
        *) echo 'GitLab: You can only delete protected branches using the web interface.' >&2; exit 1 ;;
      esac
      case "$old" in
        *[!0]*) git merge-base --is-ancestor "$old" "$new" || {
          echo 'GitLab: You are not allowed to force push code to a protected branch on this project.' >&2; exit 1; } ;;
      esac ;;
  esac
done
"""


class Store(Repository):
    """The house's repository, with a hook that keeps protected branches, and readers for the API."""

    def __init__(self, directory, path, default):
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        super().__init__(directory, path, "http://127.0.0.1")
        self.git("symbolic-ref", "HEAD", f"refs/heads/{default}")
        for hidden in ("refs/merge-requests", "refs/keep-around", "refs/pipelines", "refs/environments"):
            self.git("config", "--add", "receive.hideRefs", hidden)
        hook = self.path / "hooks/pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(HOOK, encoding="utf-8")
        hook.chmod(0o755)
        self.refuse({})

    def refuse(self, rules):
        lines = "".join(f"{ref} {rule}\n" for ref, rule in rules.items())
        (self.path / "refused-refs").write_text(lines, encoding="utf-8")

    def text(self, *arguments):
        return self.git(*arguments).decode("utf-8", "replace").rstrip("\n")

    def maybe(self, *arguments):
        done = self.git(*arguments, check=False).decode().strip()
        return done or None

    def commit(self, name):
        """The full name of a commit that a branch, tag or name stands for."""
        if not name or name.startswith("-") or name.startswith("refs/merge-requests"):
            return None
        return self.maybe("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")

    def tip(self, branch):
        return self.maybe("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")

    def branches(self):
        refs = self.refs()
        return {ref.removeprefix("refs/heads/"): at for ref, at in refs.items() if ref.startswith("refs/heads/")}

    def containing(self, commit):
        return self.text("branch", "--format=%(refname:short)", "--contains", commit).split()

    def merge_base(self, *commits):
        return self.maybe("merge-base", "--octopus", *commits)

    def count(self, old, new):
        return int(self.text("rev-list", "--count", new, f"^{old}"))

    def log(self, *arguments):
        return self.text("rev-list", *arguments).split()

    def blob(self, commit, path):
        kind = self.maybe("cat-file", "-t", f"{commit}:{path}")
        return self.git("cat-file", "blob", f"{commit}:{path}") if kind == "blob" else None

    def described(self, commit):
        """A commit's own fields."""
        form = "%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%P%x00%s%x00%B"
        return self.text("show", "-s", f"--format={form}", commit).split("\0")

    def changes(self, old, new):
        """What differs between two commits, with renames."""
        told, parts = [], self.git("diff", "--raw", "-z", "-M", "--abbrev=40", old, new).decode().split("\0")
        while len(parts) > 1:
            modes = parts.pop(0).lstrip(":").split(" ")
            before = after = parts.pop(0)
            if modes[4][0] in "RC":
                after = parts.pop(0)
            diff = self.git("diff", "-M", old, new, "--", before, after).decode("utf-8", "replace")
            body = diff[diff.find("@@"):] if "@@" in diff else ""
            told.append({
                "diff": body, "collapsed": False, "too_large": False, "new_path": after, "old_path": before,
                "a_mode": modes[0], "b_mode": modes[1], "new_file": modes[4] == "A", "generated_file": False,
                "renamed_file": modes[4][0] == "R", "deleted_file": modes[4] == "D",
            })
        return told

    def take_all(self, other):
        self.git("fetch", "--quiet", str(other.path), "+refs/heads/*:refs/heads/*")

    def take_commit(self, other, commit):
        self.git("fetch", "--quiet", str(other.path), commit)

