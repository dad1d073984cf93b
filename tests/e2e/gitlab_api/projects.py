"""People, projects, members and branches: doc/api/users.md, projects.md, members.md, branches.md."""

import re

from .declare import (
    DEVELOPER, GUEST, KEYSET, MAINTAINER, REPORTER, Param, Refusal, boolean, endpoint, forbidden, integer, message,
    not_found, one_of, string,
)


@endpoint("GET", "/user", scope="read_api|read_user")
def me(call):
    """The current user: doc/api/users.md."""
    user = call.user
    more = {"email": f"{user['username']}@example.test", "commit_email": f"{user['username']}@example.test"}
    more.update(is_admin=bool(user.get("admin")), can_create_project=False, two_factor_enabled=False, external=user["bot"])
    return {**call.world.view("user_public", user["id"]), **more}


@endpoint("GET", "/personal_access_tokens/self", scope="read_api|read_user|read_repository|write_repository")
def own_token(call):
    """The token that asks: doc/api/personal_access_tokens.md."""
    return {"id": 1, "name": "token", "revoked": False, "scopes": call.token.granted, "user_id": call.user["id"], "active": True,
            "expires_at": None}


@endpoint("GET", "/users/:user_id", scope="read_api|read_user")
def user_of(call):
    """A single user: doc/api/users.md."""
    if call.at["user_id"] not in call.world.users:
        raise not_found("User")
    return call.world.view("user_public", call.at["user_id"])


@endpoint("GET", "/users", scope="read_api|read_user", paged=True, params={"username": string(), "search": string()})
def users(call):
    """People by their name: doc/api/users.md."""
    wanted = call.given.get("username")
    return [call.world.view("user_public", number) for number, user in call.world.users.items()
            if wanted is None or user["username"] == wanted]


@endpoint("GET", "/projects/:id", level=GUEST, params={"statistics": boolean(), "license": boolean()})
def project_of(call):
    """A single project: doc/api/projects.md."""
    told = call.world.view("project", call.project)
    access = {"access_level": call.level, "notification_level": 3} if call.level else None
    return {**told, "permissions": {"project_access": access, "group_access": None}}


def member(call, number):
    told = call.world.view("user_basic", number)
    return {**told, "access_level": call.project.members[number], "created_at": call.project["created_at"],
            "expires_at": None, "membership_state": "active"}


@endpoint("GET", "/projects/:id/members/all/:user_id", level=GUEST)
def member_of(call):
    """A member, inherited ones too: doc/api/members.md."""
    if call.at["user_id"] not in call.project.members:
        raise not_found()
    return member(call, call.at["user_id"])


LISTED = {"query": string(), "user_ids": Param("integers"), "state": one_of("awaiting", "active")}


@endpoint("GET", "/projects/:id/members/all", level=GUEST, paged=True, params=LISTED)
def members(call):
    """All members, inherited ones too: doc/api/members.md."""
    return [member(call, number) for number in sorted(call.project.members)]


ADDED = {"user_id": Param("integer"), "access_level": Param("integer", True), "expires_at": string()}


@endpoint("POST", "/projects/:id/members", level=MAINTAINER, params=ADDED)
def add_member(call):
    """Adds a member: doc/api/members.md."""
    number = call.given.get("user_id")
    if number not in call.world.users:
        raise not_found("User")
    if call.given["access_level"] not in (10, 15, 20, 30, 40, 50):
        raise Refusal(400, {"error": "access_level does not have a valid value"}, "access_level")
    if number in call.project.members:
        raise message(409, "Member already exists")
    call.project.members[number] = call.given["access_level"]
    return member(call, number)


# Branches


def branch_name(call):
    if call.at["branch"] not in call.project.store.branches():
        raise not_found("Branch")
    return call.at["branch"]


@endpoint("GET", "/projects/:id/repository/branches/:branch", level=REPORTER)
def branch(call):
    """A single branch: doc/api/branches.md."""
    return call.world.view("branch", call.project, branch_name(call), call.user)


FILTERS = {"search": string(), "regex": string(), **KEYSET, "sort": string()}


@endpoint("GET", "/projects/:id/repository/branches", level=REPORTER, paged="name", params=FILTERS)
def branches(call):
    """Branches by name: doc/api/branches.md."""
    wanted, start = call.given.get("search"), None
    if wanted:
        start = wanted.startswith("^")
        wanted = wanted.strip("^$") if start or wanted.endswith("$") else wanted
    names = sorted(call.project.store.branches())
    if wanted:
        names = [name for name in names if (name.startswith(wanted) if start else wanted in name)]
    if "regex" in call.given:
        names = [name for name in names if re.search(call.given["regex"], name)]
    return [call.world.view("branch", call.project, name, call.user) for name in names]


MADE = {"branch": string(True, blank=False), "ref": string(True, blank=False)}


@endpoint("POST", "/projects/:id/repository/branches", level=DEVELOPER, params=MADE)
def make_branch(call):
    """Makes a branch: doc/api/branches.md."""
    store, name = call.project.store, call.given["branch"]
    commit = store.commit(call.given["ref"])
    if name in store.branches():
        raise message(400, "Branch already exists")
    if commit is None:
        raise message(400, f"Failed to create branch '{name}': invalid reference name '{call.given['ref']}'")
    before = store.refs()
    store.git("update-ref", f"refs/heads/{name}", commit)
    call.world.pushed(call.project, before, store.refs(), call.user)
    return call.world.view("branch", call.project, name, call.user)


@endpoint("DELETE", "/projects/:id/repository/branches/:branch", scope="api", level=DEVELOPER, status=204)
def delete_branch(call):
    """Deletes a branch: doc/api/branches.md."""
    name = branch_name(call)
    if name == call.project["default_branch"] or name in call.project.protected:
        raise forbidden()
    call.project.store.git("update-ref", "-d", f"refs/heads/{name}")


@endpoint("GET", "/projects/:id/protected_branches/:name", level=DEVELOPER)
def protected_branch(call):
    """A protected branch: doc/api/protected_branches.md."""
    rule = call.project.protected.get(call.at["name"])
    if rule is None:
        raise not_found()
    return call.world.view("protected_branch", call.project, call.at["name"], rule)


@endpoint("GET", "/projects/:id/protected_branches", level=DEVELOPER, paged=True, params={"search": string()})
def protected_branches(call):
    """Protected branches: doc/api/protected_branches.md."""
    found = [item for item in call.project.protected.items() if call.given.get("search", "") in item[0]]
    return [call.world.view("protected_branch", call.project, name, rule) for name, rule in found]


RULE = {
    "name": string(True), "push_access_level": integer(), "merge_access_level": integer(), "allow_force_push": boolean(),
}


@endpoint("POST", "/projects/:id/protected_branches", level=MAINTAINER, params=RULE)
def protect(call):
    """Protects a branch: doc/api/protected_branches.md."""
    name = call.given["name"]
    if name in call.project.protected:
        raise message(409, f"Protected branch '{name}' already exists")
    levels = [call.given.get(f"{which}_access_level", MAINTAINER) for which in ("push", "merge")]
    call.world.protect(call.project, name, *levels, call.given.get("allow_force_push", False))
    return call.world.view("protected_branch", call.project, name, call.project.protected[name])


@endpoint("DELETE", "/projects/:id/protected_branches/:name", scope="api", level=MAINTAINER, status=204)
def unprotect(call):
    """Takes a protection away: doc/api/protected_branches.md."""
    if call.project.protected.pop(call.at["name"], None) is None:
        raise not_found()

