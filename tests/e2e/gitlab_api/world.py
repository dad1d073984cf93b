"""What this GitLab knows: people, tokens, projects, and a clock that tests can move."""

import secrets
import time
from datetime import datetime, timezone
from urllib.parse import quote

from . import views
from .declare import DEVELOPER, MAINTAINER, not_found
from .store import Store

# What a scope includes beside itself (doc/user/profile/personal_access_tokens.md), for git too (lib/gitlab/auth.rb).
INCLUDED = {
    "api": {"read_api", "read_user", "write_repository", "read_repository"}, "read_api": {"read_repository"},
    "write_repository": {"read_repository"},
}


class Clock:
    """The time that all of it goes by; it stands still once it was frozen."""

    def __init__(self):
        self.offset, self.frozen = 0.0, None

    def now(self):
        if self.frozen is None:
            return time.time() + self.offset
        # Two things that were done one after the other are never of the same millisecond.
        self.frozen += 0.001
        return self.frozen

    def set(self, at, freeze):
        self.offset, self.frozen = at - time.time(), at if freeze else None

    def advance(self, seconds):
        self.offset += seconds
        if self.frozen is not None:
            self.frozen += seconds


def iso(at):
    """`2026-11-23T01:23:45.678Z`, as GitLab writes a moment; null stays null."""
    if at is None:
        return None
    text = datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


class Token:
    """Who holds it, what for, and of which job it is."""

    def __init__(self, user, scopes, job=None):
        self.user, self.job, self.revoked, self.expired = user, job, False, False
        self.granted = sorted(scopes)
        self.scopes = set(scopes) | {more for one in scopes for more in INCLUDED.get(one, ())}

    def allows(self, scope):
        return scope in self.scopes or (scope.startswith("read_") and scope[5:] in self.scopes)


class Project(dict):
    """A project's own fields; its repository, members and all that is in it beside them."""

    def __init__(self, store, fields):
        super().__init__(fields)
        self.store, self.members, self.protected = store, {}, {}
        self.requests, self.issues, self.pipelines, self.statuses = {}, {}, {}, []
        self.triggers = {}


class World:
    def __init__(self, directory, url, root):
        self.directory, self.url, self.root = directory, url, root
        self.site = url + root
        self.clock, self.numbers = Clock(), {}
        self.users, self.tokens, self.projects, self.jobs = {}, {}, {}, {}
        # A push is so old when it arrives, in seconds: what is said right after it is later than it.
        self.push_age, self.pushed_at = 3600, 0.0

    def next(self, kind, first=1):
        self.numbers[kind] = self.numbers.get(kind, first - 1) + 1
        return self.numbers[kind]

    def now(self):
        return self.clock.now()

    def push_time(self):
        at = self.now() - self.push_age
        # Which of two in one second is the newer nobody could tell; past ones were not made in one.
        if self.push_age > 0:
            at = max(at, self.pushed_at + 1)
        self.pushed_at = at
        return at

    # People and their tokens

    def add_user(self, username, bot=False, state="active", number=None):
        number = number or self.next("user", 101)
        user = {"id": number, "username": username, "name": username.replace("-", " ").title(), "bot": bot, "state": state}
        self.users[number] = {**user, "created_at": iso(self.now())}
        return self.users[number]

    def user(self, given):
        """By number or name."""
        for user in self.users.values():
            if given in (user["id"], user["username"]):
                return user
        raise not_found("User")

    def mint(self, user, scopes, token=None, job=None):
        text = token or f"{'glcbt' if job else 'glpat'}-{secrets.token_urlsafe(20)}"
        self.tokens[text] = Token(user, scopes, job)
        return text

    # Projects

    def add_project(self, path, number=None, fork_of=None, default="main", visibility="private"):
        number = number or self.next("project", 7)
        fields = {"id": number, "path_with_namespace": path, "default_branch": default, "visibility": visibility}
        fields.update(created_at=iso(self.now()), forked_from=fork_of and fork_of["id"], archived=False)
        self.projects[number] = Project(Store(self.directory, path, default), fields)
        if fork_of:
            self.projects[number].store.take_all(fork_of.store)
        self.protect(self.projects[number], default)
        return self.projects[number]

    def protect(self, project, name, push=MAINTAINER, merge=MAINTAINER, force=False):
        project.protected[name] = {"id": self.next("protected"), "push": push, "merge": merge, "force": force}

    def project(self, given):
        """By number or path, whoever asks."""
        for project in self.projects.values():
            if str(given) in (str(project["id"]), project["path_with_namespace"], project.get("was")):
                return project
        raise not_found("Project")

    def level(self, project, user):
        """How far somebody's rights go; 0 where they are no member or not active."""
        if user["state"] != "active":
            return 0
        return 60 if user.get("admin") else project.members.get(user["id"], 0)

    def may_touch(self, project, branch, user):
        """Whether somebody may push or merge to a branch, and so change what pipelines do there."""
        level, rule = self.level(project, user), project.protected.get(branch)
        needed = min(rule["push"] or 99, rule["merge"] or 99) if rule else DEVELOPER
        return level >= max(needed, DEVELOPER)

    def web(self, project, rest=""):
        return f"{self.site}/{project['path_with_namespace']}{rest}"

    def api(self, project, rest=""):
        return f"{self.site}/api/v4/projects/{quote(str(project['id']))}{rest}"

    # Pushes

    def refused_refs(self, project, user):
        """What the hook must refuse to this person: `none` at all, `forward` moves only."""
        level, told = self.level(project, user), {}
        for name, rule in project.protected.items():
            allowed = rule["push"] and level >= rule["push"]
            told[f"refs/heads/{name}"] = ("any" if rule["force"] else "forward") if allowed else "none"
        return told

    def pushed(self, project, before, after, user):
        """Branches were moved: merge requests get versions and system notes, and that is all."""
        names = [ref for ref in sorted(before.keys() | after.keys()) if before.get(ref) != after.get(ref)]
        for ref in names:
            if not ref.startswith("refs/heads/") or ref not in after:
                continue
            branch, at = ref.removeprefix("refs/heads/"), self.push_time()
            for target in self.projects.values():
                for request in target.requests.values():
                    source = (request["source_project_id"], request["source_branch"])
                    if source == (project["id"], branch) and request["state"] == "opened":
                        self.new_version(target, request, after[ref], at, user)

    def new_version(self, target, request, head, at, user=None):
        """Another version of a merge request (doc/api/merge_requests.md, diff versions)."""
        source = self.projects.get(request["source_project_id"])
        if source and source is not target:
            target.store.take_commit(source.store, head)
        target.store.git("update-ref", f"refs/merge-requests/{request['iid']}/head", head)
        base = target.store.tip(request["target_branch"]) or head
        start, merge_base = base, target.store.merge_base(base, head) or base
        version = {
            "id": self.next("version", 301), "head_commit_sha": head, "base_commit_sha": merge_base,
            "start_commit_sha": start, "created_at": iso(at), "merge_request_id": request["id"], "state": "collected",
            "real_size": "1", "patch_id_sha": None,
        }
        old = request["versions"][-1]["head_commit_sha"] if request["versions"] else None
        request["versions"].append(version)
        request["sha"] = head
        if old and user:
            request["updated_at"] = iso(self.now())
            added = target.store.count(old, head)
            body = f"added {added} commit{'s' if added != 1 else ''}\n\nCompare with previous version"
            self.add_note(target, request, "MergeRequest", user, body, system=True, at=at)

    def add_note(self, project, on, kind, user, body, system=False, at=None, internal=False):
        """A note on a merge request or an issue."""
        made = iso(at if at is not None else self.now())
        note = {
            "id": self.next("note", 1001), "type": None, "body": body, "author": user["id"], "created_at": made,
            "updated_at": made, "system": system, "noteable_id": on["id"], "noteable_type": kind,
            "project_id": project["id"], "noteable_iid": on["iid"], "internal": internal, "edited_by": None,
            "edited_at": None, "awards": [],
        }
        on["notes"].append(note)
        on["updated_at"] = iso(self.now())
        return note

    def request(self, project, iid):
        if iid not in project.requests:
            raise not_found()
        return project.requests[iid]

    def view(self, kind, *given):
        return getattr(views, kind)(self, *given)

