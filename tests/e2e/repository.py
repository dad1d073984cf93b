"""The repository behind the front door: real git over HTTP, and its commits replayed into the emulator.

The replay makes every blob, tree and commit anew through GitHub's git-data API, and fails where one gets another name.
"""

import base64
import http.client
import json
import os
import subprocess
from urllib.parse import urlsplit

ZERO = "0" * 40


class Repository:
    def __init__(self, directory, name, emulate):
        self.root, self.name = directory, name
        self.path = directory / f"{name}.git"
        self.address, self.emulate = urlsplit(emulate).netloc, None
        self.known = set()
        self.run("init", "--quiet", "--bare", "--initial-branch=main", str(self.path), cwd=directory)
        self.git("config", "http.receivepack", "true")
        self.git("config", "uploadpack.allowAnySHA1InWant", "true")

    @staticmethod
    def environment():
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return {**kept, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "HOME": os.devnull}

    def run(self, *arguments, cwd=None, check=True):
        done = subprocess.run(["git", *arguments], cwd=cwd, env=self.environment(), capture_output=True, check=False)
        if check and done.returncode:
            raise RuntimeError(f"git {arguments}: {done.stderr.decode()}")
        return done.stdout

    def git(self, *arguments, check=True):
        return self.run(*arguments, cwd=self.path, check=check)

    def refs(self):
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)").decode().splitlines()
        return dict(line.split(" ") for line in lines)

    def backend(self, method, target, headers, body, login):
        """One request of git's smart HTTP protocol, by git's own program for it."""
        parts = urlsplit(target)
        environment = {
            **self.environment(), "GIT_PROJECT_ROOT": str(self.root), "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{self.name}.git" + parts.path.removeprefix(f"/{self.name}").removeprefix(".git"),
            "QUERY_STRING": parts.query, "REQUEST_METHOD": method, "REMOTE_USER": login, "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": headers.get("content-type", ""), "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": headers.get("git-protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=False)
        head, _, read = done.stdout.partition(b"\r\n\r\n")
        told = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        told = {name.lower(): value for name, value in told.items()}
        status = int(told.pop("status", "200").split(" ")[0])
        return status, told, read

    # The replay

    def api(self, method, path, body=None):
        headers = {"authorization": "Bearer ghp_maintainer", "content-type": "application/json"}
        self.emulate.request(method, f"/repos/{self.name}{path}", json.dumps(body) if body is not None else None, headers)
        answer = self.emulate.getresponse()
        read = answer.read()
        return answer.status, json.loads(read) if read else None

    def same(self, wanted, answer):
        status, told = answer
        if status != 201 or told["sha"] != wanted:
            raise RuntimeError(f"the emulator made something else of {wanted}: {status} {told}")

    def replay(self, ref, commit):
        """Brings a branch and all that it needs to the emulator; `commit` is all zeros where it was deleted."""
        if not ref.startswith("refs/heads/"):
            return
        # One connection for each replay: an idle one is closed by the other side.
        self.emulate = http.client.HTTPConnection(self.address, timeout=60)
        if commit == ZERO:
            self.api("DELETE", "/git/" + ref)
            return
        for one in self.git("rev-list", "--reverse", "--topo-order", commit).decode().split():
            if one not in self.known:
                self.replay_commit(one)
                self.known.add(one)
        status, told = self.api("POST", "/git/refs", {"ref": ref, "sha": commit})
        if status == 422:
            status, told = self.api("PATCH", "/git/" + ref, {"sha": commit, "force": True})
        if status not in (200, 201):
            raise RuntimeError(f"the emulator does not take {ref}: {status} {told}")

    def replay_commit(self, commit):
        entries = []
        for line in self.git("ls-tree", "-r", "-z", commit).decode().split("\0")[:-1]:
            meta, path = line.split("\t", 1)
            mode, kind, sha = meta.split()
            if kind == "blob" and sha not in self.known:
                content = base64.b64encode(self.git("cat-file", "blob", sha)).decode()
                self.same(sha, self.api("POST", "/git/blobs", {"content": content, "encoding": "base64"}))
                self.known.add(sha)
            entries.append({"path": path, "mode": mode, "type": kind, "sha": sha})
        tree = self.git("rev-parse", commit + "^{tree}").decode().strip()
        self.same(tree, self.api("POST", "/git/trees", {"tree": entries}))
        told = self.git("show", "-s", "--format=%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%P", commit).decode()
        told = told.rstrip("\n").split("\0")
        message = self.git("cat-file", "commit", commit).decode().split("\n\n", 1)[1]
        people = [dict(zip(("name", "email", "date"), told[at : at + 3])) for at in (0, 3)]
        wanted = {"message": message, "tree": tree, "parents": told[6].split(), "author": people[0], "committer": people[1]}
        self.same(commit, self.api("POST", "/git/commits", wanted))
