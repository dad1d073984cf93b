#!/usr/bin/env python3
"""The front door of an offline GitHub: git over HTTP, the REST API, artifacts, and faults on demand.

    front_door.py TOOLS DIR [--prism]

TOOLS holds the installed packages, DIR is a directory of its own for the repository. It binds free ports of 127.0.0.1,
prints one line of JSON once it can be spoken to, and ends when its standard input does.

Behind it are emulate (a stateful GitHub) and, with --prism, a proxy that holds every request to GitHub's own API
description. What emulate lacks or gets wrong is kept here (kept.py). It refuses unknown tokens, and what a token's
permissions do not allow, on a repository that is treated as a private one: nothing can be read without a right to it.
"""

import base64
import gzip
import hashlib
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from kept import Kept, json_answer
from repository import Repository

HERE = Path(__file__).resolve().parent
REPO = "acme/widget"
# What a request needs of a job's token, the first line that fits; `read` for GET, `write` for all else.
NEEDS = [
    (r"", "metadata"),
    (r"/collaborators/[^/]+/permission", "metadata"),
    (r"/(activity|branches|compare|contents|git|commits/[^/]+$).*", "contents"),
    (r"/commits/.+/check-runs|/check-runs.*", "checks"),
    (r"/commits/.+/status(es)?|/statuses/.+", "statuses"),
    (r"/pulls.*|/commits/[^/]+/pulls", "pull_requests"),
    (r"/issues.*", "issues|pull_requests"),
    (r"/actions/.*", "actions"),
    (r"/commits/.+", "contents"),
]


class Token:
    """Who holds it, and what it may do; `permissions` is None for a person's."""

    def __init__(self, login, permissions=None, app=None):
        self.login, self.permissions, self.app = login, permissions, app

    def allows(self, names, wanted):
        if self.permissions is None:
            return True
        ranks = {None: 0, "read": 1, "write": 2}
        granted = max(ranks[self.permissions.get(name)] for name in names.split("|"))
        return granted >= ranks[wanted] or (names == "metadata" and wanted == "read")


class Fault:
    """One thing that goes wrong, for the requests `nth` to `nth + times - 1` that fit."""

    def __init__(self, wanted):
        self.wanted, self.seen = wanted, 0

    def strikes(self, method, path):
        wanted = self.wanted
        if wanted.get("method", method) != method or not re.search(wanted["path"], path):
            return False
        self.seen += 1
        first = wanted.get("nth", 1)
        return first <= self.seen < first + wanted.get("times", 1)


class FrontDoor:
    def __init__(self, tools, directory, prism):
        self.lock = threading.RLock()
        self.log, self.faults = [], []
        self.outer, self.inner, self.storage = (serve(self, kind) for kind in ("outer", "inner", "storage"))
        self.url = f"http://127.0.0.1:{self.outer.server_port}"
        # In a group of its own it would outlive a killed harness; it reads its input, and ends with it.
        self.backends = subprocess.Popen(
            ["node", HERE / "backends.mjs", tools], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        wanted = {"url": self.url, "upstream": f"http://127.0.0.1:{self.inner.server_port}", "prism": prism}
        self.backends.stdin.write(json.dumps(wanted).encode() + b"\n")
        self.backends.stdin.flush()
        told = json.loads(self.backends.stdout.readline())
        self.emulate, self.prism, self.key = told["emulate"], told["prism"], told
        people = ["maintainer", "contributor", "reader", "drive-by", "renovate[bot]"]
        self.tokens = {f"ghp_{login}": Token(login) for login in people}
        self.repository = Repository(Path(directory), REPO, self.emulate)
        self.kept = Kept(self)
        for server in (self.outer, self.inner, self.storage):
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def close(self):
        self.backends.stdin.close()
        self.backends.wait()

    # Tokens

    def jwt(self, app):
        """What an App shows to get a token: RS256 by hand, since the standard library has none."""
        number = lambda name: int.from_bytes(base64.urlsafe_b64decode(self.key[name] + "=="), "big")
        part = lambda value: base64.urlsafe_b64encode(value).rstrip(b"=")
        now = int(time.time())
        claims = {"iat": now - 60, "exp": now + 500, "iss": str(app)}
        text = part(b'{"alg":"RS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
        digest = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(text).digest()
        modulus = number("n")
        size = (modulus.bit_length() + 7) // 8
        padded = b"\x00\x01" + b"\xff" * (size - len(digest) - 3) + b"\x00" + digest
        signature = pow(int.from_bytes(padded, "big"), number("d"), modulus).to_bytes(size, "big")
        return (text + b"." + part(signature)).decode()

    def mint(self, app, permissions):
        """A token of the App's installation with exactly these permissions, as a job gets one."""
        number, installation = {"github-actions": (15368, 100), "omk-action": (12345, 101)}[app]
        permissions = {name.replace("-", "_"): right for name, right in permissions.items() if right != "none"}
        status, _, body = self.ask(
            self.emulate, "POST", f"/app/installations/{installation}/access_tokens",
            {"authorization": f"Bearer {self.jwt(number)}", "content-type": "application/json"},
            json.dumps({"permissions": {"metadata": "read", **permissions}}).encode(),
        )
        assert status == 201, body
        return self.know(json.loads(body), app)

    def know(self, answer, app):
        self.tokens[answer["token"]] = Token(f"{app}[bot]", answer["permissions"], app)
        return answer["token"]

    def token_of(self, headers):
        """The token, and who holds it; of a JWT nobody but emulate can tell."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            given = base64.b64decode(given).decode().partition(":")[2]
        if given.startswith("eyJ"):
            return given, Token("an App", {})
        return given, self.tokens.get(given.strip())

    # A request's way

    def ask(self, base, method, path, headers, body):
        """Sends a request on; the answer's status, headers and body."""
        connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=60)
        drop = ("host", "connection", "content-length", "transfer-encoding", "accept-encoding", "expect")
        sent = {name: value for name, value in headers.items() if name not in drop}
        connection.request(method, path, body=body or None, headers=sent)
        answer = connection.getresponse()
        read = answer.read()
        connection.close()
        kept = {name.lower(): value for name, value in answer.getheaders()}
        for name in ("connection", "content-length", "transfer-encoding", "keep-alive", "date"):
            kept.pop(name, None)
        return answer.status, kept, read

    def strike(self, when, method, path):
        with self.lock:
            for fault in self.faults:
                if fault.wanted.get("when", "before") == when and fault.strikes(method, path):
                    break
            else:
                return None
        for step in fault.wanted.get("do", []):
            self.kept.control(step["path"], step.get("body", {}))
        time.sleep(fault.wanted.get("delay", 0))
        if fault.wanted.get("drop"):
            return "drop"
        if "status" not in fault.wanted:
            return None
        status, headers = fault.wanted["status"], fault.wanted.get("headers", {})
        message = fault.wanted.get("message", "a fault on demand")
        return json_answer(status, {"message": message}, {name.lower(): value for name, value in headers.items()})

    def answer(self, method, target, headers, body):
        """What the outside sees: control, git, or the API with its log and faults."""
        path = urlsplit(target).path
        if path.startswith("/_test/"):
            query = {name: values[-1] for name, values in parse_qs(urlsplit(target).query).items()}
            return self.kept.control(path, query, body) if query else self.kept.control(path, json.loads(body or b"{}"))
        if path.startswith("/_release/"):
            return self.kept.release(path)
        token, holder = self.token_of(headers)
        entry = {"method": method, "path": target, "who": holder.login if holder else None}
        if body and headers.get("content-type", "").startswith("application/json"):
            entry["body"] = json.loads(body)
        # What stays so has failed here, not there.
        entry["status"] = None
        with self.lock:
            self.log.append(entry)
        answer = self.strike("before", method, path) or self.serve(method, target, headers, body, holder)
        struck = self.strike("after", method, path)
        answer = struck or answer
        entry["status"] = answer if answer == "drop" else answer[0]
        if answer != "drop" and "problem+json" in answer[1].get("content-type", ""):
            entry["violation"] = json.loads(answer[2])
        return answer

    def serve(self, method, target, headers, body, holder):
        path = urlsplit(target).path
        if re.match(rf"/{REPO}(\.git)?/(info/refs|git-)", path):
            return self.git(method, target, headers, body, holder)
        if not headers.get("authorization"):
            return json_answer(401, {"message": "Requires authentication"})
        if holder is None:
            return json_answer(401, {"message": "Bad credentials"})
        rest = re.fullmatch(rf"/repos/{REPO}(/.*)?", path)
        if rest and holder.login != "an App":
            names = next((names for pattern, names in NEEDS if re.fullmatch(pattern, rest[1] or "")), "no permission of ours")
            if not holder.allows(names, "read" if method in ("GET", "HEAD") else "write"):
                return json_answer(403, {"message": "Resource not accessible by integration", "needs": names})
        # Prism would follow the redirect itself.
        if self.prism and not path.endswith("/zip"):
            return self.ask(self.prism, method, one_segment(target), headers, body)
        return self.api(method, target, headers, body)

    def api(self, method, target, headers, body):
        """What Prism let through: kept here, or emulate's."""
        _, holder = self.token_of(headers)
        parts = urlsplit(target)
        path = unquote(parts.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        given = json.loads(body) if body else {}
        answer = self.kept.answer(method, path, query, given, holder)
        if answer:
            return answer
        given = self.kept.before(method, path, given, holder)
        sent = json.dumps(given).encode() if body else b""
        to = quote(path) + (f"?{parts.query}" if parts.query else "")
        status, kept, read = self.ask(self.emulate, method, to, headers, sent)
        if "json" in kept.get("content-type", "") and read:
            told = self.kept.after(method, path, given, holder, status, json.loads(read))
            if told.get("token") if isinstance(told, dict) else None:
                self.know(told, "omk-action" if "/101/" in path else "github-actions")
            read = json.dumps(told).encode()
        return status, kept, read

    def git(self, method, target, headers, body, holder):
        service = "git-receive-pack" if "git-receive-pack" in target else "git-upload-pack"
        wanted = "write" if service == "git-receive-pack" else "read"
        if holder is None:
            return 401, {"www-authenticate": 'Basic realm="GitHub"', "content-type": "text/plain"}, b"Bad credentials\n"
        may_push = holder.permissions is not None or self.kept.may_push(holder.login)
        if not holder.allows("contents", wanted) or (wanted == "write" and not may_push):
            message = f"Permission to {REPO}.git denied to {holder.login}.\n".encode()
            return 403, {"content-type": "text/plain"}, message
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        with self.lock:
            before = self.repository.refs()
            answer = self.repository.backend(method, target, headers, body, holder.login)
            if method == "POST" and wanted == "write":
                self.kept.moved(before, self.repository.refs(), holder.login)
        return answer


def one_segment(target):
    """The API description's `{ref}` and `{path}` are one segment; GitHub takes several."""
    path, mark, query = target.partition("?")
    found = re.fullmatch(
        rf"(/repos/{REPO}/(?:contents|branches|git/ref|git/refs|git/matching-refs|compare)/)(.+)", path
    ) or re.fullmatch(rf"(/repos/{REPO}/commits/)(.+?)(/(?:check-runs|status|statuses|pulls))?", path)
    if found:
        path = found[1] + found[2].replace("/", "%2F") + ((found.re.groups > 2 and found[3]) or "")
    return path + mark + query


def serve(door, kind):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Else head and body wait for each other.
        disable_nagle_algorithm = True

        def any(self):
            body = self.body()
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                if kind == "outer":
                    answer = door.answer(self.command, self.path, headers, body)
                elif kind == "inner":
                    answer = door.api(self.command, self.path, headers, body)
                else:
                    answer = door.kept.stored(self.path, headers)
            except Exception as error:  # pylint: disable=broad-except
                traceback.print_exc()
                answer = json_answer(599, {"message": f"the front door itself failed: {error!r}"})
            if answer == "drop":
                self.close_connection = True
                return
            status, told, read = answer
            self.send_response(status)
            for name, value in told.items():
                self.send_header(name, value)
            if status not in (204, 304):
                self.send_header("content-length", str(len(read)))
            self.end_headers()
            if self.command != "HEAD" and status not in (204, 304):
                self.wfile.write(read)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do_HEAD = any

        def body(self):
            if self.headers.get("transfer-encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("content-length", 0)))
            read = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                read += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return read

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server


def main():
    tools, directory = sys.argv[1:3]
    door = FrontDoor(tools, directory, "--prism" in sys.argv[3:])
    told = {"url": door.url, "key": door.key["key"], "git": str(door.repository.path)}
    print(json.dumps(told), flush=True)
    while os.read(0, 4096):
        pass
    door.close()


if __name__ == "__main__":
    main()
