"""A little of GitLab's GraphQL: notes, which tell there who edited them last. The REST API does not.

`POST /api/graphql` takes a query of fields with arguments and variables, no fragments and no directives; fields that are
not listed here are errors, in GitLab's shape.
"""

import re

from .declare import REPORTER, Refusal, not_found

TOKEN = re.compile(r'\s*(?:#[^\n]*)?\s*([{}():,!\[\]]|\$\w+|"(?:[^"\\]|\\.)*"|-?\d+|[A-Za-z_]\w*|=)')


class Wrong(Exception):
    """The query's complaint."""


def tokens(text):
    told, at, text = [], 0, text.strip()
    while at < len(text):
        found = TOKEN.match(text, at)
        if not found:
            raise Wrong(f"Parse error on {text[at:at + 10]!r}")
        told.append(found[1])
        at = found.end()
    return told


def selection(left, variables):
    """The fields between braces: what they are to be called, name, arguments, fields within."""
    told = []
    while left and left[0] != "}":
        name, given = left.pop(0), {}
        label = name
        if left[0] == ":":
            left.pop(0)
            name = left.pop(0)
        if left[0] == "(":
            left.pop(0)
            while left[0] != ")":
                key, _, value = left.pop(0), left.pop(0), left.pop(0)
                given[key] = variables.get(value[1:]) if value[0] == "$" else value.strip('"')
                if left[0] == ",":
                    left.pop(0)
            left.pop(0)
        within = None
        if left[0] == "{":
            left.pop(0)
            within = selection(left, variables)
        told.append((label, name, given, within))
        if left and left[0] == ",":
            left.pop(0)
    if not left:
        raise Wrong("Parse error: Expected a closing brace")
    left.pop(0)
    return told


def parse(text, variables):
    left = tokens(text)
    while left and left[0] != "{":
        left.pop(0)
    if not left:
        raise Wrong("Parse error: no query")
    left.pop(0)
    return selection(left, variables)


def user(world, number):
    one = world.users.get(number)
    return one and {"id": f"gid://gitlab/User/{number}", "username": one["username"], "bot": one["bot"], "state": one["state"]}


def second(at):
    """GraphQL tells times to the second, where REST tells milliseconds."""
    return at[:19] + "Z"


def note(world, one):
    edited = one["edited_at"] if one["edited_by"] else one["updated_at"]
    return {
        "id": f"gid://gitlab/{one['type'] or 'Note'}/{one['id']}", "body": one["body"], "createdAt": second(one["created_at"]),
        "updatedAt": second(one["updated_at"]), "system": one["system"], "internal": one["internal"],
        "lastEditedAt": second(edited),
        "lastEditedBy": user(world, one["edited_by"]), "author": user(world, one["author"]),
    }


class Reader:
    """Answers a query as one person sees it."""

    def __init__(self, world, person):
        self.world, self.person = world, person

    def may_read(self, project):
        return self.world.level(project, self.person) >= REPORTER

    def root(self, name, given):
        if name == "currentUser":
            return user(self.world, self.person["id"])
        if name == "note":
            number = str(given.get("id")).rpartition("/")[2]
            for project in self.world.projects.values():
                found = [one for on in project.requests.values() for one in on["notes"] if str(one["id"]) == number]
                if found and self.may_read(project):
                    return note(self.world, found[0])
            return None
        if name == "project":
            try:
                project = self.world.project(given.get("fullPath"))
            except Refusal:
                return None
            return self.project(project) if self.may_read(project) else None
        raise Wrong(f"Field '{name}' doesn't exist on type 'Query'")

    def project(self, project):
        def request(given):
            one = project.requests.get(int(given["iid"]))
            return one and {"id": f"gid://gitlab/MergeRequest/{one['id']}", "iid": str(one["iid"]), "notes": notes(one)}

        def notes(one):
            def page(given):
                told = one["notes"]
                start = int(given.get("after") or 0)
                size = min(int(given.get("first") or 100), 100)
                nodes = [note(self.world, this) for this in told[start:start + size]]
                info = {"hasNextPage": start + size < len(told), "endCursor": str(start + len(nodes))}
                return {"nodes": nodes, "pageInfo": info, "count": len(told)}

            return page

        return {"id": f"gid://gitlab/Project/{project['id']}", "fullPath": project["path_with_namespace"], "mergeRequest": request}

    def pick(self, value, within):
        if value is None or within is None:
            return value
        if isinstance(value, list):
            return [self.pick(one, within) for one in value]
        told = {}
        for label, name, given, more in within:
            if name not in value:
                raise Wrong(f"Field '{name}' doesn't exist")
            inner = value[name](given) if callable(value[name]) else value[name]
            told[label] = self.pick(inner, more)
        return told


def answer(call, body):
    """What a query gets: doc/api/graphql/_index.md; whoever shows no token sees nothing."""
    call.authenticate()
    if call.token.job is not None or not call.token.allows("read_api"):
        raise not_found()
    reader = Reader(call.world, call.user)
    try:
        fields = parse(body.get("query") or "", body.get("variables") or {})
        told = {label: reader.pick(reader.root(name, given), within) for label, name, given, within in fields}
        return {"data": told}
    except (Wrong, IndexError, ValueError) as wrong:
        call.violate(f"a wrong query: {wrong!r}")
        return {"errors": [{"message": str(wrong)}]}
