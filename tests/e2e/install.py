#!/usr/bin/env python3
"""Puts what tests need into a directory, once.

install.py DIRECTORY             what the end-to-end tests speak to
install.py DIRECTORY toolchain   the tools that children use in rooms, as a virtual environment

One at a time, by a lock; what is there and fits the pinned lists is left alone. It refuses anything whose digest is not
in them.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
LISTS = ["package.json", "package-lock.json", "requirements.txt"]


TOOLCHAIN = ["toolchain.txt"]
PIP = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--require-hashes"]


def main():
    target = Path(sys.argv[1]).resolve()
    lists, fill = (TOOLCHAIN, fill_toolchain) if sys.argv[2:] == ["toolchain"] else (LISTS, fill_rig)
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.with_name(target.name + ".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in lists)).hexdigest()
        stamp = target / "installed"
        if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
            return
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        fill(target)
        stamp.write_text(wanted, encoding="utf-8")


def fill_rig(target):
    for name in LISTS[:2]:
        shutil.copy(HERE / name, target)
    # Scripts of packages are not run: none of them needs one.
    npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(npm, cwd=target, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    pip(sys.executable, HERE / LISTS[2], "--target", target / "python")
    pipelines(target)


def fill_toolchain(target):
    venv.create(target, symlinks=True, with_pip=True)
    pip(target / "bin/python", HERE / TOOLCHAIN[0])


def pip(python, listed, *more):
    env = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
    command = [python, *PIP, "--requirement", listed, *more]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=env)


def pipelines(target):
    """A command that runs GitLab pipelines: gitlab-ci-local with the Node and the rsync that it needs."""
    node = next(target.glob("node_modules/node-linux-*/bin/node"), None)
    if node is None:
        print("no Node for this machine is pinned: gitlab-ci-local cannot be run here", file=sys.stderr)
        return
    script = target / "node_modules/gitlab-ci-local/dist/index.js"
    command(target / "bin/gitlab-ci-local", f'PATH="{rsync(target)}:$PATH" exec "{node}" "{script}" "$@"')


def rsync(target):
    """The directory of an rsync: the machine's own, else Debian's, unpacked without being installed."""
    own = shutil.which("rsync")
    if own:
        return Path(own).parent
    debian = target / "debian"
    debian.mkdir()
    # The libraries that a machine without rsync may lack too. apt holds packages to their signed digests.
    fetch = ["apt-get", "--quiet=2", "--option", "APT::Sandbox::User=root", "download", "rsync", "libpopt0", "libxxhash0"]
    if not shutil.which("apt-get") or subprocess.run(fetch, cwd=debian, check=False, stdout=sys.stderr).returncode:
        sys.exit("gitlab-ci-local needs rsync, which apt could not bring here either: install rsync")
    for package in debian.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", package, debian], check=True, stdout=sys.stderr)
    libraries = ":".join(str(path) for path in debian.glob("usr/lib/*-linux-*"))
    command(target / "rsync/rsync", f'LD_LIBRARY_PATH="{libraries}" exec "{debian}/usr/bin/rsync" "$@"')
    return target / "rsync"


def command(path, line):
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(0o755)


if __name__ == "__main__":
    main()
