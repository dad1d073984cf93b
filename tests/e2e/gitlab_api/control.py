"""The tests' own door: seeds people, projects and pipelines, moves the clock, orders faults, tells what there is.

`POST /_test/NAME` with a JSON object, or `POST /_test/NAME?KEY=VALUE` with a body of bytes; each method below is a NAME.
"""

import re
from datetime import datetime

from . import notes, pipelines, requests, views
from .declare import MAINTAINER
from .world import iso


class Fault:
    """One thing that goes wrong, for the requests `nth` to `nth + times - 1` that fit."""

    def __init__(self, wanted):
        self.wanted, self.seen = wanted, 0

    def strikes(self, when, method, path):
        wanted = self.wanted
        if wanted.get("when", "before") != when or wanted.get("method", method) != method:
            return False
        if not re.search(wanted["path"], path):
            return False
        self.seen += 1
        first = wanted.get("nth", 1)
        return first <= self.seen < first + wanted.get("times", 1)


class Control:
    def __init__(self, server):
        self.server, self.world = server, server.world

    def of(self, given):
        """The project that is meant; the first where none is named."""
        return self.world.project(given.get("project", next(iter(self.world.projects), None)))

    # Time

    def clock(self, given):
        """`set` to a moment, `advance` by seconds, `freeze`; tells what time it is."""
        clock = self.world.clock
        if "set" in given or given.get("freeze"):
            at = given.get("set")
            at = datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp() if at else clock.now()
            clock.set(at, given.get("freeze", False))
        clock.advance(given.get("advance", 0))
        return {"now": iso(clock.now())}

    def push_age(self, given):
        self.world.push_age = given["seconds"]
        return {}

    # People

    def users(self, given):
        """`username`, `id`, `bot`, `state`, `admin`: makes somebody, or changes them."""
        known = next((one for one in self.world.users.values() if one["username"] == given["username"]), None)
        user = known or self.world.add_user(given["username"], number=given.get("id"))
        user.update({name: given[name] for name in ("bot", "state", "admin", "name") if name in given})
        return user

    def rename(self, given):
        user = self.world.user(given["username"])
        user["username"] = given["to"]
        return user

    def members(self, given):
        """`username`, `access_level`; level 0 takes them out."""
        project, user = self.of(given), self.world.user(given["username"])
        project.members[user["id"]] = given["access_level"]
        if not given["access_level"]:
            del project.members[user["id"]]
        return {}

    def tokens(self, given):
        """`username`, `scopes`, perhaps `token`: somebody's access token."""
        return {"token": self.world.mint(self.world.user(given["username"]), given["scopes"], given.get("token"))}

    def token_state(self, given):
        """`token`; `revoked` or `expired`."""
        for name in ("revoked", "expired"):
            setattr(self.world.tokens[given["token"]], name, given.get(name, False))
        return {}

    # Projects

    def projects(self, given):
        """`path`, `id`, `fork_of`, `default_branch`, `visibility`; its git repository comes back as `git`."""
        fork = self.world.project(given["fork_of"]) if "fork_of" in given else None
        default, visible = given.get("default_branch", "main"), given.get("visibility", "private")
        made = self.world.add_project(given["path"], given.get("id"), fork, default, visible)
        return {**made, "git": str(made.store.path)}

    def delete_project(self, given):
        del self.world.projects[self.of(given)["id"]]
        return {}

    def protect(self, given):
        """`branch`, `push`, `merge`, `force`; `protected: false` takes it away."""
        project = self.of(given)
        if given.get("protected", True):
            push, merge = given.get("push", MAINTAINER), given.get("merge", MAINTAINER)
            self.world.protect(project, given["branch"], push, merge, given.get("force", False))
        else:
            project.protected.pop(given["branch"], None)
        return {}

    def statuses(self, given):
        """`sha`, `ref`, `username`, `names`, `count`: so many of each that are over."""
        project, user = self.of(given), self.world.user(given["username"])
        one = pipelines.add_pipeline(self.world, project, "external", given["ref"], given["sha"], user)
        now = iso(self.world.now())
        for number in range(given["count"]):
            for name in given["names"]:
                project.statuses.append({
                    "id": self.world.next("job", 5001), "sha": given["sha"], "ref": given["ref"], "name": name,
                    "status": "success",
                    "target_url": None, "description": f"number {number}", "created_at": now, "started_at": now,
                    "finished_at": now, "allow_failure": False, "coverage": None, "pipeline_id": one["id"],
                    "author": user["id"], "stage": "external", "retried": number + 1 < given["count"],
                })
        return {}

    def tls(self, given):
        """`certificate`, a PEM file with its key: the port of a listener that shows it."""
        return {"port": self.server.listen_tls(given["certificate"])}

    def rename_project(self, given):
        """`to`: another path. The old one goes on, as GitLab's redirects let it."""
        project = self.of(given)
        project["was"], project["path_with_namespace"] = project["path_with_namespace"], given["to"]
        return {}

    def hooks(self, given):
        """Where a project's repository lies, for hooks of a test's own."""
        return {"git": str(self.of(given).store.path)}

    def move(self, given):
        """Moves a branch behind everybody's back, as a push of `username`; `commit` null deletes it."""
        project, name = self.of(given), f"refs/heads/{given['branch']}"
        before = project.store.refs()
        if given["commit"]:
            project.store.git("update-ref", name, given["commit"])
        else:
            project.store.git("update-ref", "-d", name)
        user = self.world.user(given["username"]) if "username" in given else next(iter(self.world.users.values()))
        kept = self.world.push_age
        self.world.push_age = given.get("age", kept)
        self.world.pushed(project, before, project.store.refs(), user)
        self.world.push_age = kept
        return {}

    def merge_requests(self, given):
        """Opens one: `title`, `source_branch`, `target_branch`, `username`, `iid`, `source_project`."""
        target = self.of(given)
        source = self.world.project(given["source_project"]) if "source_project" in given else target
        head, user = source.store.tip(given["source_branch"]), self.world.user(given["username"])
        one = requests.open_request(self.world, target, source, head, given, user)
        return self.world.view("merge_request", target, one)

    def change_merge_request(self, given):
        """Sets raw fields of one: `iid`, `set`."""
        self.world.request(self.of(given), given["iid"]).update(given["set"])
        return {}

    def change_version(self, given):
        """Sets raw fields of the newest version: `iid`, `set`."""
        self.world.request(self.of(given), given["iid"])["versions"][-1].update(given["set"])
        return {}

    def notes(self, given):
        """Writes one: `iid` (or `issue`), `username`, `body`, `system`, `created_at`."""
        project = self.of(given)
        on = project.issues[given["issue"]] if "issue" in given else self.world.request(project, given["iid"])
        kind = "Issue" if "issue" in given else "MergeRequest"
        at = given.get("created_at")
        at = datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp() if at else None
        user = self.world.user(given["username"])
        one = self.world.add_note(project, on, kind, user, given["body"], given.get("system", False), at)
        return self.world.view("note", one)

    def note(self, given):
        """The raw note of an `id`."""
        for project in self.world.projects.values():
            for on in [*project.requests.values(), *project.issues.values()]:
                for one in on["notes"]:
                    if one["id"] == given["id"]:
                        return one
        raise KeyError(given["id"])

    def edit_note(self, given):
        """`id`, `body`, `username`."""
        notes.edit(self.world, self.note(given), given["body"], self.world.user(given["username"]))
        return self.note(given)

    def award(self, given):
        """`id` of the note, `name`, `username`."""
        return notes.give(self.world, self.note(given), given["name"], self.world.user(given["username"]))

    # Pipelines

    def pipelines(self, given):
        """`source`, `ref`, `username`, `sha`, `jobs` as pairs of name and stage; the jobs' numbers by name come back."""
        project, ref = self.of(given), given.get("ref", "main")
        sha, user = given.get("sha") or project.store.tip(ref), self.world.user(given["username"])
        one = pipelines.add_pipeline(self.world, project, given.get("source", "web"), ref, sha, user, given.get("id"))
        return self.add_jobs({**given, "pipeline": one["id"]})

    def add_jobs(self, given):
        """`pipeline`, `jobs` as pairs of name and stage."""
        project = self.of(given)
        one = project.pipelines[given["pipeline"]]
        made = [pipelines.add_job(self.world, project, one, name, stage) for name, stage in given.get("jobs", [])]
        return {"id": one["id"], "jobs": {job["name"]: job["id"] for job in made}, "variables": one["variables"]}

    def start_job(self, given):
        """`job`: a runner takes it; its token comes back, good until it ends."""
        one = self.world.jobs[given["job"]]
        return {"token": pipelines.begin(self.world, self.world.projects[one["project"]], one)}

    def finish_job(self, given):
        """`job`, `status`; one that was cancelled meanwhile stays so."""
        one = self.world.jobs[given["job"]]
        if one["status"] in ("created", "pending", "running"):
            pipelines.finish(self.world, self.world.projects[one["project"]], one, given["status"])
        return {"status": one["status"]}

    def artifacts(self, given, body=None):
        """`job`: puts its archive, or tells it where no body is sent; `gone=1` takes it away."""
        one = self.world.jobs[int(given["job"])]
        if body:
            one["archive"] = body
        if given.get("gone"):
            one["archive"] = None
        if body or given.get("gone"):
            return {}
        return 200, {"content-type": "application/zip"}, one["archive"] or b""

    def redirect_artifacts(self, given):
        """Sends downloads of artifacts to another address, as GitLab does with object storage."""
        self.world.redirect_artifacts = given["on"]
        return {}

    def triggers(self, given):
        """`token`, `username` of its owner."""
        self.of(given).triggers[given["token"]] = given["username"]
        return {}

    # Trouble, and what there is

    def faults(self, given):
        if given.get("clear"):
            self.server.faults.clear()
        else:
            self.server.faults.append(Fault(given))
        return {}

    def log(self, given):
        told = list(self.server.log)
        if given.get("clear"):
            self.server.log.clear()
        return told

    def state(self, given):
        """All of a project: refs, merge requests with notes and versions, issues, statuses, pipelines, jobs."""
        project = self.of(given)
        jobs = [one for one in self.world.jobs.values() if one["project"] == project["id"]]
        return {
            "project": dict(project), "refs": project.store.refs(), "merge_requests": list(project.requests.values()),
            "issues": list(project.issues.values()), "statuses": project.statuses, "members": project.members,
            "pipelines": [{**one, "status": views.pipeline_state(self.world, project, one)} for one in project.pipelines.values()],
            "jobs": [{key: value for key, value in one.items() if key not in ("archive", "token")} for one in jobs],
        }
