"""One request to the API: who asks, whether they may, what they get, page by page."""

import json
import re
from urllib.parse import parse_qsl, urlencode, urlsplit

from . import commits, graphql, notes, pipelines, projects, requests  # noqa: F401  pylint: disable=unused-import
from .declare import GUEST, Refusal, find, forbidden, message, not_found, unauthorized


def parameters(pairs):
    """A query's parameters; `name[]` and `name[key]` become lists and maps."""
    told = {}
    for name, value in pairs:
        key = re.fullmatch(r"(\w+)\[(\w+)\]", name)
        if key:
            told.setdefault(key[1], {})[key[2]] = value
        elif name.endswith("[]"):
            told.setdefault(name[:-2], []).append(value)
        elif name in told:
            raise Refusal(400, {"error": f"{name} is invalid"}, f"{name} is given twice")
        else:
            told[name] = value
    return told


class Call:
    def __init__(self, world, method, target, headers, body):
        self.world, self.method, self.headers, self.body = world, method, headers, body
        parts = urlsplit(target)
        self.path, self.query = parts.path, parts.query
        self.token = self.user = self.project = None
        self.level, self.violations, self.raw, self.given, self.at = 0, [], {}, {}, {}

    def violate(self, text):
        self.violations.append(text)

    # Who

    def shown_token(self):
        """The token, and the header that held it."""
        scheme, _, bearer = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return bearer.strip(), "bearer"
        for name in ("private-token", "job-token"):
            if name in self.headers:
                return self.headers[name], name
        return None, None

    def authenticate(self):
        """Who asks: doc/api/rest/authentication.md."""
        shown, kind = self.shown_token()
        token = self.world.tokens.get(shown)
        if kind is None or token is None or (token.job is not None) != (kind == "job-token"):
            if kind == "bearer" and token is None:
                error = {"error": "invalid_token", "error_description": "Bad Access Token."}
                raise Refusal(401, error)
            raise unauthorized()
        for wrong, text in ((token.revoked, "was revoked. You have to re-authorize from the user."),
                            (token.expired, "is expired. You can either do re-authorization or token refresh.")):
            if wrong:
                raise Refusal(401, {"error": "invalid_token", "error_description": f"Token {text}"})
        if self.world.users[token.user["id"]]["state"] != "active":
            raise message(403, "403 Forbidden - Your account has been blocked.")
        self.token, self.user = token, self.world.users[token.user["id"]]

    def authorize(self, endpoint):
        """What the token and the person may: doc/user/permissions.md, doc/ci/jobs/ci_job_token.md."""
        if self.token.job is not None and not endpoint.job:
            raise unauthorized()
        if endpoint.job == "only" and self.token.job is None:
            raise unauthorized()
        wanted = endpoint.scope.split("|")
        if self.token.job is None and not any(self.token.allows(one) for one in wanted):
            text = "The request requires higher privileges than provided by the access token."
            told = {"error": "insufficient_scope", "error_description": text, "scope": " ".join(dict.fromkeys(["api", *wanted]))}
            raise Refusal(403, told)
        if endpoint.level is None:
            return
        self.project = self.world.project(self.at["id"])
        self.level = self.world.level(self.project, self.user)
        public = self.project["visibility"] == "public"
        if self.level < GUEST and not public:
            raise not_found("Project")
        if self.level < endpoint.level and not (public and endpoint.method == "GET"):
            raise forbidden()

    # What

    def answer(self):
        """Status, headers and body."""
        if self.path == "/graphql" and self.method == "POST":
            return 200, {}, graphql.answer(self, self.fields())
        endpoint, found = find(self.method, self.path)
        self.at = endpoint.arguments(found)
        if endpoint.token:
            self.authenticate()
            self.authorize(endpoint)
        query = parameters(parse_qsl(self.query, keep_blank_values=True))
        body = {} if endpoint.path.endswith("/artifacts") else self.fields()
        if self.method == "GET" and body:
            raise Refusal(400, {"error": "a GET has no body"}, "a GET with a body")
        self.raw = {**query, **body}
        self.given = endpoint.read(query, body)
        told = endpoint.run(self)
        if isinstance(told, tuple):
            return told
        if endpoint.paged:
            told, headers = self.page(told, endpoint)
            return endpoint.status, headers, told
        return endpoint.status, {}, told

    def fields(self):
        """The body's parameters."""
        kind = self.headers.get("content-type", "").split(";")[0]
        if not self.body:
            return {}
        if kind == "application/json":
            try:
                told = json.loads(self.body)
            except ValueError:
                told = None
            if not isinstance(told, dict):
                raise Refusal(400, {"error": "The provided body is invalid JSON"}, "the body is no JSON object")
            return told
        if kind == "application/x-www-form-urlencoded":
            return parameters(parse_qsl(self.body.decode(), keep_blank_values=True))
        raise Refusal(415, {"error": "The provided content-type is not supported."}, f"a body of type {kind!r}")

    def file(self):
        """The uploaded file of a form."""
        mark = re.search(r'boundary="?([^";]+)', self.headers.get("content-type", ""))
        if not mark:
            raise message(400, "400 Bad request - No file")
        for part in self.body.split(b"--" + mark[1].encode()):
            head, _, content = part.partition(b"\r\n\r\n")
            if b'name="file"' in head:
                return content[:-2]
        raise message(400, "400 Bad request - No file")

    # Pages

    def page(self, told, endpoint):
        """One page of a list, and the headers about it: doc/api/rest/_index.md, pagination."""
        size = self.given.get("per_page", 20)
        number = self.given.get("page", 1)
        if size < 1:
            raise Refusal(400, {"error": "per_page has a value not allowed"}, "per_page")
        if number < 1:
            raise Refusal(400, {"error": "page does not have a valid value"}, "page")
        size = min(size, 100)
        if self.given.get("pagination") == "keyset":
            return self.keyset(told, endpoint.paged, size)
        pages = max(1, -(-len(told) // size))
        headers = {
            "x-page": str(number), "x-per-page": str(size), "x-total": str(len(told)), "x-total-pages": str(pages),
            "x-next-page": str(number + 1) if number < pages else "", "x-prev-page": str(number - 1) if number > 1 else "",
        }
        links = [("prev", number - 1)] if number > 1 else []
        links += [("next", number + 1)] if number < pages else []
        links += [("first", 1), ("last", pages)]
        headers["link"] = ", ".join(f'<{self.link(page=at, per_page=size)}>; rel="{rel}"' for rel, at in links)
        # Counting is too dear for GitLab where there are many (doc/user/gitlab_com, pagination response headers).
        if len(told) > 10_000:
            for name in ("x-total", "x-total-pages"):
                del headers[name]
        return told[(number - 1) * size:number * size], headers

    def keyset(self, told, key, size):
        """Pages by what was last seen; such a link has no numbers."""
        if not isinstance(key, str):
            raise Refusal(405, {"error": "Keyset pagination is not yet available for this type of request"}, "keyset")
        last = self.given.get("cursor", self.given.get("page_token"))
        if last is not None:
            seen = [str(one[key]) for one in told].index(last) + 1
            told = told[seen:]
        shown, headers = told[:size], {}
        if len(told) > size:
            headers["link"] = f'<{self.link(cursor=shown[-1][key])}>; rel="next"'
        return shown, headers

    def link(self, **changed):
        kept = [(name, value) for name, value in parse_qsl(self.query) if name not in changed]
        return f"{self.world.site}/api/v4{self.path}?{urlencode([*kept, *changed.items()])}"

    def new_pipeline(self, source, ref, sha):
        return pipelines.add_pipeline(self.world, self.project, source, ref, sha, self.user)

