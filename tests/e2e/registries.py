#!/usr/bin/env python3
"""The registries of cargo, npm, pip and go in one: registries.py CERTIFICATE LOG

It serves one package, `answer` 1.0.0, in the form of each registry, by TLS at a free port of 127.0.0.1 under the name
registry.localhost; the port is its first line. Requests are written to LOG. It ends with its standard input.

Each part follows its page: https://doc.rust-lang.org/cargo/reference/registry-index.html,
https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md,
https://packaging.python.org/en/latest/specifications/simple-repository-api/, https://go.dev/ref/mod#goproxy-protocol.
It refuses what these do not describe, with 404, 405, 406 or 403.
"""

import base64
import hashlib
import io
import json
import os
import ssl
import sys
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST = "registry.localhost"
JSON = "application/json"


def packed(root, files):
    """A gzipped tar with everything below one directory, the same bytes each time."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"{root}/{name}")
            entry.size, entry.mode = len(text.encode()), 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
    return raw.getvalue()


def zipped(files):
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return raw.getvalue()


class Refused(Exception):
    """An answer that is none: its status, and why."""


def crates():
    """The sparse index of cargo, and the crate."""
    crate = packed("answer-1.0.0", {
        "Cargo.toml": '[package]\nname = "answer"\nversion = "1.0.0"\nedition = "2021"\n',
        "src/lib.rs": "pub fn answer() -> u32 { 42 }\n",
    })
    line = {"name": "answer", "vers": "1.0.0", "deps": [], "features": {}, "yanked": False,
            "cksum": hashlib.sha256(crate).hexdigest()}
    index = (json.dumps(line) + "\n").encode()

    def answer(call):
        # The real one turns away whoever does not say who they are.
        if not call.headers.get("user-agent"):
            raise Refused(403, "a User-Agent is required")
        if call.path == "/config.json":
            return JSON, json.dumps({"dl": f"{call.base}/crates", "api": call.base}).encode()
        # Names of four letters and more: the first two, the next two, the name.
        if call.path == "/an/sw/answer":
            return "text/plain", index
        if call.path == "/crates/answer/1.0.0/download":
            return "application/gzip", crate
        raise Refused(404, "no such crate")
    return answer


def npm():
    """The packument and the tarball of npm."""
    manifest = {"name": "answer", "version": "1.0.0", "main": "index.js"}
    tarball = packed("package", {"package.json": json.dumps(manifest), "index.js": "module.exports = 42;\n"})
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode()

    def answer(call):
        if call.path == "/-/npm/v1/security/advisories/bulk":
            call.allow("POST")
            return JSON, b"{}"
        if call.path == "/answer":
            dist = {"tarball": f"{call.base}/answer/-/answer-1.0.0.tgz", "integrity": integrity,
                    "shasum": hashlib.sha1(tarball).hexdigest()}
            packument = {"name": "answer", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": {**manifest, "dist": dist}},
                         "modified": "2020-01-01T00:00:00.000Z"}
            kind = call.accepted("application/vnd.npm.install-v1+json", JSON)
            return kind, json.dumps(packument).encode()
        if call.path == "/answer/-/answer-1.0.0.tgz":
            return "application/octet-stream", tarball
        raise Refused(404, "Not found")
    return answer


def pypi():
    """The simple repository API, as JSON (PEP 691) or HTML (PEP 503), with metadata beside the wheel (PEP 658)."""
    name, metadata = "answer-1.0.0-py3-none-any.whl", "Metadata-Version: 2.1\nName: answer\nVersion: 1.0.0\n"
    files = {"answer.py": "answer = 42\n", "answer-1.0.0.dist-info/METADATA": metadata,
             "answer-1.0.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: none\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},{len(text)}\n"
        for path, text in files.items())
    wheel = zipped({**files, "answer-1.0.0.dist-info/RECORD": record + "answer-1.0.0.dist-info/RECORD,,\n"})
    sha256 = hashlib.sha256(wheel).hexdigest()
    described = hashlib.sha256(metadata.encode()).hexdigest()

    def answer(call):
        if call.path == "/simple/answer":
            raise Refused(301, f"{call.base}/simple/answer/")
        if call.path == "/simple/answer/":
            url = f"{call.base}/files/{name}"
            kind = call.accepted("application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.v1+html", "text/html")
            if kind.endswith("json"):
                entry = {"filename": name, "url": url, "hashes": {"sha256": sha256}, "requires-python": ">=3.8",
                         "core-metadata": {"sha256": described}, "size": len(wheel)}
                page = {"meta": {"api-version": "1.1"}, "name": "answer", "versions": ["1.0.0"], "files": [entry]}
                return kind, json.dumps(page).encode()
            link = (f'<a href="{url}#sha256={sha256}" data-requires-python="&gt;=3.8" '
                    f'data-core-metadata="sha256={described}">{name}</a>')
            return kind, f'<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.1"></head><body>{link}</body></html>'.encode()
        if call.path == f"/files/{name}":
            return "application/octet-stream", wheel
        if call.path == f"/files/{name}.metadata":
            return "application/octet-stream", metadata.encode()
        raise Refused(404, "Not Found")
    return answer


def go():
    """The proxy protocol of Go, for a module with a program. There is no checksum database."""
    module = "example.org/answer"
    mod = f"module {module}\n\ngo 1.21\n"
    main = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println(42) }\n'
    archive = zipped({f"{module}@v1.0.0/{name}": text for name, text in {"go.mod": mod, "main.go": main}.items()})
    info = json.dumps({"Version": "v1.0.0", "Time": "2020-01-01T00:00:00Z"}).encode()

    def answer(call):
        known = {
            f"/{module}/@v/list": ("text/plain", b"v1.0.0\n"),
            f"/{module}/@latest": (JSON, info),
            f"/{module}/@v/v1.0.0.info": (JSON, info),
            f"/{module}/@v/v1.0.0.mod": ("text/plain", mod.encode()),
            f"/{module}/@v/v1.0.0.zip": ("application/zip", archive),
        }
        if call.path not in known:
            raise Refused(404, "not found: unknown module or version")
        return known[call.path]
    return answer


class Call:
    """One request to one of the registries, whose own address is `base`."""

    def __init__(self, handler, name, path):
        self.path, self.headers, self.method = path, handler.headers, handler.command
        self.base = f"https://{HOST}:{handler.server.server_port}/{name}"
        self.checked = False

    def allow(self, *methods):
        self.checked = True
        if self.method not in methods:
            raise Refused(405, f"{self.method} is not allowed")

    def accepted(self, *kinds):
        """The first of these kinds that the request wants."""
        wanted = [part.split(";")[0].strip() for part in self.headers.get("accept", "*/*").split(",")]
        for kind in kinds:
            if kind in wanted or "*/*" in wanted:
                return kind
        raise Refused(406, "Not Acceptable")


def main():
    certificate, log = sys.argv[1:3]
    registries = {"crates": crates(), "npm": npm(), "pypi": pypi(), "go": go()}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate)
    writing = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self):
            # In the connection's own thread: whoever does not shake hands keeps nobody else waiting.
            self.request.settimeout(30)
            self.request = context.wrap_socket(self.request, server_side=True)
            super().setup()

        def any(self):
            self.rfile.read(int(self.headers.get("content-length", 0)))
            with writing, open(log, "a", encoding="utf-8") as lines:
                lines.write(f"{self.command} {self.path}\n")
            try:
                status, headers, body = self.answer()
            except Refused as refused:
                status, said = refused.args
                headers, body = ({"location": said}, b"") if status == 301 else ({"content-type": "text/plain"}, said.encode())
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD" and status != 304:
                self.wfile.write(body)

        def answer(self):
            if self.headers.get("host") != f"{HOST}:{self.server.server_port}":
                raise Refused(421, "this is another host")
            name, slash, rest = self.path.lstrip("/").partition("/")
            if name not in registries or "?" in self.path:
                raise Refused(404, "no such registry")
            call = Call(self, name, slash + rest)
            kind, body = registries[name](call)
            if not call.checked:
                call.allow("GET", "HEAD")
            tag = f'"{hashlib.sha256(body).hexdigest()}"'
            if self.headers.get("if-none-match") == tag:
                return 304, {"etag": tag}, b""
            return 200, {"content-type": kind, "etag": tag}, body

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = any

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request, client_address):
            """A client that breaks off, or does not trust the certificate, is a story's business."""

    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while os.read(0, 4096):
        pass


if __name__ == "__main__":
    main()
