"""Commits, comparison, files, and the statuses of commits: doc/api/commits.md, repositories.md, repository_files.md."""

from .declare import DEVELOPER, REPORTER, Param, Refusal, boolean, endpoint, integer, message, not_found, one_of, string
from .views import FINAL
from .world import iso


def known(call, name, what="Commit"):
    """The commit that a name of the request stands for."""
    commit = call.project.store.commit(name)
    if commit is None:
        raise not_found(what)
    return commit


@endpoint("GET", "/projects/:id/repository/commits/:sha", level=REPORTER, params={"stats": boolean()})
def commit_of(call):
    """A single commit: doc/api/commits.md."""
    sha = known(call, call.at["sha"])
    pipelines = [one for one in call.project.pipelines.values() if one["sha"] == sha]
    last = pipelines and call.world.view("pipeline_basic", call.project, pipelines[-1]) or None
    more = {"project_id": call.project["id"], "last_pipeline": last, "status": last and last["status"]}
    return {**call.world.view("commit", call.project, sha), **more}


LOG = {
    "ref_name": string(), "since": Param("time"), "until": Param("time"), "path": string(), "all": boolean(),
    "with_stats": boolean(), "first_parent": boolean(), "order": one_of("default", "topo"), "author": string(),
}


@endpoint("GET", "/projects/:id/repository/commits", level=REPORTER, paged=True, params=LOG)
def commits(call):
    """Commits of a branch, the newest first: doc/api/commits.md."""
    tip = known(call, call.given.get("ref_name", call.project["default_branch"]))
    path = ["--", call.given["path"]] if "path" in call.given else []
    return [call.world.view("commit", call.project, sha) for sha in call.project.store.log(tip, *path)]


COMPARE = {
    "from": string(True), "to": string(True), "straight": boolean(default=False), "unidiff": boolean(),
    "from_project_id": integer(),
}


@endpoint("GET", "/projects/:id/repository/compare", level=REPORTER, params=COMPARE)
def compare(call):
    """What differs between two commits: doc/api/repositories.md."""
    store = call.project.store
    old, new = (known(call, call.given[name], "Ref") for name in ("from", "to"))
    start = old if call.given["straight"] else store.merge_base(old, new)
    shas = store.log("--reverse", new, f"^{old}")
    told = [call.world.view("commit", call.project, sha) for sha in shas]
    return {
        "commit": told[-1] if told else None, "commits": told, "diffs": store.changes(start, new) if start else [],
        "compare_timeout": False, "compare_same_ref": old == new,
        "web_url": call.world.web(call.project, f"/-/compare/{old}...{new}"),
    }


@endpoint("GET", "/projects/:id/repository/merge_base", level=REPORTER, params={"refs": Param("array", True)})
def merge_base(call):
    """The common ancestor: doc/api/repositories.md."""
    if len(call.given["refs"]) < 2:
        raise message(400, "400 Bad request - Provide at least 2 refs")
    found = [call.project.store.commit(name) for name in call.given["refs"]]
    wrong = [name for name, commit in zip(call.given["refs"], found) if commit is None]
    if wrong:
        raise message(400, f"400 Bad request - Could not find ref: {', '.join(wrong)}")
    base = call.project.store.merge_base(*found)
    if base is None:
        raise not_found("Merge Base")
    return call.world.view("commit", call.project, base)


FILE = {"ref": string(), "lfs": boolean()}


@endpoint("GET", "/projects/:id/repository/files/:path/raw", level=REPORTER, scope="read_api|read_repository", params=FILE)
def raw_file(call):
    """A file's bytes: doc/api/repository_files.md."""
    commit = known(call, call.given.get("ref", "HEAD"))
    content = call.project.store.blob(commit, call.at["path"])
    if content is None:
        raise not_found("File")
    headers = {
        "x-gitlab-commit-id": commit, "x-gitlab-file-path": call.at["path"], "x-gitlab-size": str(len(content)),
        "x-gitlab-ref": call.given.get("ref", "HEAD"), "content-disposition": "inline",
    }
    return 200, {"content-type": "text/plain; charset=utf-8", **headers}, content


# Statuses

STATES = ("pending", "running", "success", "failed", "canceled", "skipped")
LISTED = {
    "ref": string(), "stage": string(), "name": string(), "pipeline_id": integer(), "all": boolean(default=False),
    "order_by": one_of("id", "pipeline_id", default="id"), "sort": one_of("asc", "desc", default="asc"),
}


def as_status(call, job, pipeline):
    """A CI job among the statuses: doc/api/commits.md lists both."""
    told = {name: job[name] for name in ("id", "name", "status", "created_at", "started_at", "finished_at", "allow_failure")}
    url = call.world.web(call.project, f"/-/jobs/{job['id']}")
    more = {"stage": job["stage"], "retried": job["retried"], "author": pipeline["user"], "pipeline_id": pipeline["id"]}
    return {**told, **more, "sha": pipeline["sha"], "ref": pipeline["ref"], "target_url": url, "description": None,
            "coverage": None}


@endpoint("GET", "/projects/:id/repository/commits/:sha/statuses", level=REPORTER, paged=True, params=LISTED)
def statuses(call):
    """A commit's statuses, the latest of each name unless all are wanted: doc/api/commits.md."""
    known(call, call.at["sha"])
    found = [one for one in call.project.statuses if one["sha"] == call.at["sha"]]
    for pipeline in call.project.pipelines.values():
        if pipeline["sha"] == call.at["sha"]:
            found += [as_status(call, call.world.jobs[number], pipeline) for number in pipeline["jobs"]]
    if not call.given["all"]:
        found = [one for one in found if not one["retried"]]
    for name in ("ref", "stage", "name", "pipeline_id"):
        if name in call.given:
            found = [one for one in found if one[name] == call.given[name]]
    found.sort(key=lambda one: one[call.given["order_by"]], reverse=call.given["sort"] == "desc")
    return [call.world.view("status", one) for one in found]


# What each event may be done from (doc/api/commits.md; the words of its refusals are those of GitLab's answers).
EVENTS = {
    "pending": ("enqueue", ("created", "skipped", "manual", "scheduled")), "running": ("run", ("pending",)),
    "success": ("success", ("created", "pending", "running")), "failed": ("drop", ("created", "pending", "running")),
    "canceled": ("cancel", ("created", "pending", "running")), "skipped": ("skip", ("created", "pending")),
}


def step(one, state, now):
    """Moves a status to a state, or says in GitLab's words why it cannot be."""
    event, sources = EVENTS[state]
    if state == "running" and one["status"] == "created":
        one["status"] = "pending"
    if one["status"] not in sources:
        text = f'Cannot transition status via :{event} from :{one["status"]} (Reason(s): Status cannot transition via "{event}")'
        # A client that looks first does not get this one.
        raise Refusal(400, {"message": text}, None)
    one["status"] = state
    if state == "running":
        one["started_at"] = iso(now)
    if state in FINAL:
        one["finished_at"] = iso(now)


SET = {
    "state": one_of(*STATES, required=True), "ref": string(), "name": string(), "context": string(), "target_url": string(),
    "description": string(), "coverage": Param("float"), "pipeline_id": integer(),
}


def pipeline_for(call, sha):
    """The pipeline that a status belongs to: the named one, the newest of the commit, or one that is made for it."""
    wanted, ref = call.given.get("pipeline_id"), call.given.get("ref")
    found = [one for one in call.project.pipelines.values() if one["sha"] == sha and ref in (None, one["ref"])]
    if wanted is not None:
        found = [one for one in found if one["id"] == wanted]
        if not found:
            raise message(404, "404 Pipeline for pipeline_id, sha and ref Not Found")
    if found:
        return found[-1]
    names = [ref] if ref else call.project.store.containing(sha)
    if not names:
        raise message(404, "404 References for commit Not Found")
    return call.new_pipeline("external", names[0], sha)


@endpoint("POST", "/projects/:id/statuses/:sha", level=DEVELOPER, params=SET)
def set_status(call):
    """Sets a commit's status: doc/api/commits.md, and doc/api/pipelines.md for the pipeline it makes."""
    sha = known(call, call.at["sha"])
    pipeline = pipeline_for(call, sha)
    if not call.world.may_touch(call.project, pipeline["ref"], call.user):
        raise message(403, "403 Forbidden")
    name = call.given.get("name") or call.given.get("context") or "default"
    for field in ("description", "target_url"):
        if len(call.given.get(field, "")) > 255:
            text = "is too long (maximum is 255 characters)"
            raise Refusal(400, {"message": {field: [text]}}, f"{field} {text}")
    if any(call.world.jobs[number]["name"] == name for number in pipeline["jobs"]):
        raise Refusal(400, {"message": {"name": ["has already been taken"]}}, f"a job is called {name}")
    key = (pipeline["id"], pipeline["ref"], name, call.user["id"])
    unfinished = [one for one in call.project.statuses if one["status"] in ("pending", "running", "created")
                  and (one["pipeline_id"], one["ref"], one["name"], one["author"]) == key]
    now = call.world.now()
    fresh = {
        "sha": sha, "ref": pipeline["ref"], "status": "created", "name": name, "target_url": None, "description": None,
        "created_at": iso(now), "started_at": None, "finished_at": None, "allow_failure": False, "coverage": None,
        "pipeline_id": pipeline["id"], "author": call.user["id"], "stage": "external", "retried": False,
    }
    one = dict(unfinished[-1]) if unfinished else fresh
    one.update({field: call.given[field] for field in ("target_url", "description", "coverage") if field in call.given})
    step(one, call.given["state"], now)
    if unfinished:
        unfinished[-1].update(one)
    else:
        one["id"] = call.world.next("job", 5001)
        for old in call.project.statuses:
            if (old["pipeline_id"], old["name"]) == (pipeline["id"], name):
                old["retried"] = True
        call.project.statuses.append(one)
    pipeline["updated_at"] = iso(now)
    return call.world.view("status", unfinished[-1] if unfinished else one)
