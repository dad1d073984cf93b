"""What an endpoint takes, and GitLab's words for what it does not take.

Every parameter is declared with its type. GitLab itself passes over unknown ones; here they are refused, since they are a
mistake of whoever sent them. A refusal is a value to raise, with the status and the body that GitLab would send.
"""

import re
from datetime import datetime
from urllib.parse import unquote

ROUTES = []
# GitLab's access levels (doc/api/access_requests.md).
GUEST, REPORTER, DEVELOPER, MAINTAINER, OWNER = 10, 20, 30, 40, 50


class Refusal(Exception):
    """An answer that is an error. `violation` says that no well-behaved client gets it."""

    def __init__(self, status, body, violation=None, headers=None):
        super().__init__(body)
        self.status, self.body, self.violation, self.headers = status, body, violation, headers or {}


def message(status, text):
    return Refusal(status, {"message": text})


def not_found(what=None):
    return message(404, f"404 {what} Not Found" if what else "404 Not Found")


def forbidden():
    return message(403, "403 Forbidden")


def unauthorized():
    return message(401, "401 Unauthorized")


class Param:
    """A parameter: what it must be, and whether it must be there."""

    def __init__(self, kind, required=False, values=None, blank=True, default=None, most=None):
        self.kind, self.required, self.values, self.blank = kind, required, values, blank
        self.default, self.most = default, most

    def read(self, name, given, text):
        """The value, from a query (`text`) or from JSON."""
        if self.kind == "array" or self.kind == "integers":
            given = given if isinstance(given, list) else None
            if given is not None:
                one = Param("integer" if self.kind == "integers" else "string")
                return [self.one_of(name, one.read(name, item, text)) for item in given]
        if self.kind == "hash" and isinstance(given, dict):
            return given
        if self.kind == "string" and isinstance(given, str):
            if not given.strip() and not self.blank:
                raise Wrong(f"{name} is empty")
            if self.most and len(given) > self.most:
                raise Wrong(f"{name} is too long (maximum is {self.most} characters)")
            return self.one_of(name, given)
        if self.kind == "integer":
            if isinstance(given, int) and not isinstance(given, bool):
                return given
            if text and re.fullmatch(r"-?\d+", given):
                return int(given)
        if self.kind == "float" and isinstance(given, (int, float)) and not isinstance(given, bool):
            return float(given)
        if self.kind == "boolean":
            if isinstance(given, bool):
                return given
            if text and given.lower() in ("true", "false", "1", "0"):
                return given.lower() in ("true", "1")
        if self.kind == "time" and isinstance(given, str):
            try:
                return datetime.fromisoformat(given.replace("Z", "+00:00")).timestamp()
            except ValueError:
                pass
        raise Wrong(f"{name} is invalid")

    def one_of(self, name, value):
        if self.values is not None and value not in self.values:
            raise Wrong(f"{name} does not have a valid value")
        return value


class Wrong(Exception):
    """One parameter's complaint."""


def string(required=False, **more):
    return Param("string", required, **more)


def one_of(*values, required=False, default=None):
    return Param("string", required, values=values, default=default)


def integer(required=False):
    return Param("integer", required)


def boolean(default=None):
    return Param("boolean", default=default)


def moment():
    return Param("time")


PAGING = {"page": integer(), "per_page": integer()}
KEYSET = {
    "pagination": one_of("keyset"), "order_by": one_of("id", "name"), "sort": one_of("asc", "desc"),
    "id_before": integer(), "id_after": integer(), "cursor": string(), "page_token": string(),
}


class Endpoint:
    """A method and path, what it needs and what it takes."""

    def __init__(self, method, path, run, **more):
        self.method, self.run, self.doc = method, run, run.__doc__
        self.names = re.findall(r":(\w+)", path)
        self.pattern = re.compile(re.sub(r":\w+", r"([^/]+)", path))
        self.path = path
        self.scope = more.get("scope", "read_api" if method == "GET" else "api")
        self.level, self.job = more.get("level"), more.get("job", False)
        self.status = more.get("status", 201 if method == "POST" else 200)
        self.params, self.open = more.get("params", {}), more.get("open", False)
        self.needs_one, self.token = more.get("needs_one"), more.get("token", True)
        if more.get("paged"):
            self.params = {**PAGING, **self.params}
        self.paged = more.get("paged")

    def arguments(self, found):
        """What the path says; a number where GitLab wants one."""
        told = {}
        for name, text in zip(self.names, found.groups()):
            text = unquote(text)
            if name != "id" and name.endswith("id") and not re.fullmatch(r"\d+", text):
                raise Refusal(400, {"error": f"{name} is invalid"}, f"{name} is not a number")
            told[name] = int(text) if name != "id" and name.endswith("id") else text
        return told

    def read(self, query, body):
        """The declared parameters; all complaints at once, as GitLab does it."""
        told, wrong = {}, []
        for given, text in ((query, True), (body, False)):
            for name, value in given.items():
                if name not in self.params:
                    if not self.open:
                        wrong.append(f"{name} is not a parameter of {self.method} {self.path}")
                    continue
                if value is None:
                    continue
                try:
                    told[name] = self.params[name].read(name, value, text)
                except Wrong as complaint:
                    wrong.append(str(complaint))
        wrong += [f"{name} is missing" for name, one in self.params.items() if one.required and name not in told
                  and not any(text.startswith(f"{name} ") for text in wrong)]
        if not wrong and self.needs_one and not any(name in told for name in self.needs_one):
            wrong.append(f"{', '.join(self.needs_one)} are missing, at least one parameter must be provided")
        if wrong:
            raise Refusal(400, {"error": ", ".join(wrong)}, ", ".join(wrong))
        for name, one in self.params.items():
            if one.default is not None:
                told.setdefault(name, one.default)
        return told


def endpoint(method, path, **more):
    """Declares the function below it; its doc string names the page of GitLab's documentation."""

    def declare(run):
        assert run.__doc__ and "doc/" in run.__doc__, f"{run} names no documentation"
        ROUTES.append(Endpoint(method, path, run, **more))
        return run

    return declare


def find(method, path):
    """The endpoint and what its path says; a 404 or 405 of GitLab's where there is none."""
    others = False
    for one in ROUTES:
        found = one.pattern.fullmatch(path)
        if found and one.method == method:
            return one, found
        others = others or found
    if others:
        raise Refusal(405, {"error": "405 Not Allowed"}, f"{path} knows no {method}")
    raise Refusal(404, {"error": "404 Not Found"}, f"there is no {path}")
