#!/usr/bin/env python3
"""An offline GitLab: git over HTTP, the REST API as its documentation has it, and faults on demand.

    gitlab_server.py DIR [--root /gitlab]

DIR is a directory of its own for the repositories. It binds a free port of 127.0.0.1, prints one line of JSON once it can
be spoken to, and ends when its standard input does. What is in it is in gitlab_api/: `declare.py` refuses what an endpoint
does not take, `world.py` is what there is, `control.py` the tests' own door.

It refuses unknown tokens, scopes and access levels that do not reach, unknown or wrong parameters, and steps that GitLab
does not allow. A refusal that no well-behaved client gets is written into the log as a violation.
"""

import base64
import gzip
import json
import os
import re
import socket
import ssl
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from gitlab_api.call import Call
from gitlab_api.control import Control
from gitlab_api.declare import Refusal
from gitlab_api.world import World

GIT = re.compile(r"/(?P<path>.+?)(?:\.git)?/(?P<rest>info/refs|git-upload-pack|git-receive-pack)")


def json_answer(status, body, headers=None):
    return status, {"content-type": "application/json", **(headers or {})}, json.dumps(body).encode()


class Server:
    def __init__(self, directory, root):
        self.lock, self.log, self.faults = threading.RLock(), [], []
        self.http = serve(self)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.root, self.world = root, World(Path(directory), self.url, root)
        self.world.redirect_artifacts, self.world.storage = False, f"{self.url}/_storage"
        self.control = Control(self)

    def listen_tls(self, certificate):
        """The same behind TLS, at a port of its own."""
        http, context = serve(self), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        http.socket = context.wrap_socket(http.socket, server_side=True)
        threading.Thread(target=http.serve_forever, daemon=True).start()
        return http.server_port

    def answer(self, method, target, headers, body):
        """What the outside sees: the tests' door, git, or the API, with the log and the faults."""
        path = urlsplit(target).path
        if path.startswith("/_test/"):
            return self.tested(target, body)
        if path.startswith("/_storage/"):
            return self.stored(path, headers)
        entry = {"method": method, "path": target, "who": None, "status": None, "violations": []}
        if body and headers.get("content-type", "").startswith("application/json"):
            entry["body"] = body.decode("utf-8", "replace")
        with self.lock:
            self.log.append(entry)
        answer = self.strike("before", method, target)
        if answer is None:
            answer = self.within(method, target, headers, body, entry)
            answer = self.strike("after", method, target) or answer
        entry["status"] = answer if answer == "drop" else answer[0]
        return answer

    def within(self, method, target, headers, body, entry):
        """A request below the root; anything else is no GitLab."""
        if not target.startswith(self.root + "/"):
            entry["violations"].append(f"{target} is not below {self.root}")
            return json_answer(404, {"error": "404 Not Found"})
        inside = target[len(self.root):]
        found = GIT.fullmatch(urlsplit(inside).path)
        if found:
            return self.git(method, inside, headers, body, found, entry)
        if not inside.startswith(("/api/v4/", "/api/graphql")):
            entry["violations"].append(f"{inside} is not the API")
            return 404, {"content-type": "text/html"}, b"<html>The page could not be found</html>"
        path = inside.removeprefix("/api/v4" if inside.startswith("/api/v4/") else "/api")
        call = Call(self.world, method, path, headers, body)
        try:
            with self.lock:
                status, told, read = call.answer()
        except Refusal as refusal:
            if refusal.violation:
                call.violate(refusal.violation)
            status, told, read = refusal.status, refusal.headers, refusal.body
        entry["who"] = call.user and call.user["username"]
        entry["job"] = call.token and call.token.job
        entry["violations"] += call.violations
        limits = {"ratelimit-limit": "2000", "ratelimit-remaining": "1990", "ratelimit-observed": "10",
                  "ratelimit-reset": str(int(time.time()) + 60)}
        if isinstance(read, bytes):
            return status, {**limits, **told}, read
        return json_answer(status, read, {**limits, **told})

    # git

    def pusher(self, headers):
        """Who speaks git: any name with an access token, `gitlab-ci-token` with a job's (doc/user/profile, doc/ci/jobs)."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        name, _, secret = base64.b64decode(given).decode().partition(":")
        token = self.world.tokens.get(secret)
        if token is None or token.revoked or token.expired or (token.job and name != "gitlab-ci-token"):
            return None
        return token

    def git(self, method, target, headers, body, found, entry):
        push = "git-receive-pack" in target
        denied = 401, {"www-authenticate": 'Basic realm="GitLab"', "content-type": "text/plain"}, b"HTTP Basic: Access denied.\n"
        token = self.pusher(headers)
        try:
            project = self.world.project(found["path"])
        except Refusal:
            project = None
        if token is None:
            return denied
        entry["who"], entry["job"] = token.user["username"], token.job
        level = self.world.level(project, self.world.users[token.user["id"]]) if project else 0
        if level < 10:
            return 404, {"content-type": "text/plain"}, b"The project you were looking for could not be found.\n"
        if token.job and (push or self.world.projects[self.world.jobs[token.job]["project"]] is not project):
            return 403, {"content-type": "text/plain"}, b"You are not allowed to push code to this project.\n"
        fetches = token.job or any(token.allows(one) for one in ("read_repository", "read_api"))
        if level < (30 if push else 20) or not (token.allows("write_repository") if push else fetches):
            word = b"push" if push else b"download"
            return 403, {"content-type": "text/plain"}, b"You are not allowed to " + word + b" code to this project.\n"
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        inside = f"/{project.store.name}.git/{found['rest']}?{urlsplit(target).query}"
        with self.lock:
            before = project.store.refs()
            project.store.refuse(self.world.refused_refs(project, token.user) if push else {})
            answer = project.store.backend(method, inside, headers, body, token.user["username"])
            if method == "POST" and push:
                self.world.pushed(project, before, project.store.refs(), token.user)
        return answer

    # The tests' door, faults, and object storage

    def tested(self, target, body):
        parts = urlsplit(target)
        name = parts.path.removeprefix("/_test/")
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        run = getattr(self.control, name, None)
        if run is None or name.startswith("_") or name in ("of", "note", "server", "world"):
            return json_answer(404, {"message": f"the tests have no {name}"})
        with self.lock:
            told = run(query, body) if query else run(json.loads(body or b"{}"))
        return told if isinstance(told, tuple) else json_answer(200, told)

    def stored(self, path, headers):
        """A signed address of object storage: who shows a token there has lost it."""
        lost = [name for name in ("authorization", "private-token", "job-token") if name in headers]
        entry = {"method": "GET", "path": path, "who": None, "status": 200, "violations": [f"storage got {name}" for name in lost]}
        self.log.append(entry)
        return 200, {"content-type": "application/zip"}, self.world.jobs[int(path.split("/")[2])]["archive"] or b""

    def strike(self, when, method, path):
        with self.lock:
            fault = next((one for one in self.faults if one.strikes(when, method, path)), None)
            for step in fault.wanted.get("do", []) if fault else []:
                getattr(self.control, step["path"])(step.get("body", {}))
        if fault is None:
            return None
        time.sleep(fault.wanted.get("delay", 0))
        if fault.wanted.get("drop"):
            return "drop"
        headers = {name.lower(): value for name, value in fault.wanted.get("headers", {}).items()}
        if "raw" in fault.wanted:
            return fault.wanted.get("status", 200), {"content-type": "application/json", **headers}, fault.wanted["raw"].encode()
        if "status" not in fault.wanted:
            return None
        return json_answer(fault.wanted["status"], fault.wanted.get("body", {"message": "a fault on demand"}), headers)


def serve(server):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Else head and body wait for each other.
        disable_nagle_algorithm = True

        def any(self):
            body = self.read_body()
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                answer = server.answer(self.command, self.path, headers, body)
            except Exception as error:  # pylint: disable=broad-except
                traceback.print_exc()
                answer = json_answer(599, {"message": f"the offline GitLab itself failed: {error!r}"})
            if answer == "drop":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
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

        def read_body(self):
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

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    return http


def main():
    root = sys.argv[sys.argv.index("--root") + 1] if "--root" in sys.argv else ""
    server = Server(sys.argv[1], root.rstrip("/"))
    threading.Thread(target=server.http.serve_forever, daemon=True).start()
    print(json.dumps({"url": server.url, "site": server.world.site}), flush=True)
    while os.read(0, 4096):
        pass


if __name__ == "__main__":
    main()
