"""Pipelines, jobs, artifacts and triggers: doc/api/pipelines.md, jobs.md, job_artifacts.md, pipeline_triggers.md."""

import json

from .declare import (
    DEVELOPER, KEYSET, REPORTER, Param, Refusal, boolean, endpoint, forbidden, integer, message, moment, not_found, one_of,
    string,
)
from .views import FINAL
from .world import iso

STATUSES = (
    "created", "waiting_for_resource", "preparing", "waiting_for_callback", "pending", "running", "success", "failed",
    "canceling", "canceled", "skipped", "manual", "scheduled",
)
SOURCES = (
    "push", "web", "trigger", "schedule", "api", "external", "pipeline", "chat", "webide", "merge_request_event",
    "external_pull_request_event", "parent_pipeline", "ondemand_dast_scan", "ondemand_dast_validation",
)
LIST = {
    "scope": one_of("running", "pending", "finished", "branches", "tags"), "status": one_of(*STATUSES), "ref": string(),
    "sha": string(), "yaml_errors": boolean(), "username": string(), "name": string(), "source": one_of(*SOURCES),
    "updated_before": moment(), "updated_after": moment(), "created_before": moment(), "created_after": moment(),
    "order_by": one_of("id", "status", "ref", "updated_at", "user_id", default="id"),
    "sort": one_of("asc", "desc", default="desc"),
}


@endpoint("GET", "/projects/:id/pipelines", level=REPORTER, paged=True, params=LIST)
def pipelines(call):
    """A project's pipelines, the newest first: doc/api/pipelines.md."""
    found = list(call.project.pipelines.values())
    for name in ("ref", "sha", "source"):
        if name in call.given:
            found = [one for one in found if one[name] == call.given[name]]
    told = [call.world.view("pipeline_basic", call.project, one) for one in found]
    if "status" in call.given:
        told = [one for one in told if one["status"] == call.given["status"]]
    scope = call.given.get("scope")
    if scope in ("running", "pending"):
        told = [one for one in told if one["status"] == scope]
    if scope == "finished":
        told = [one for one in told if one["status"] in FINAL]
    for field in ("created", "updated"):
        if f"{field}_after" in call.given:
            told = [one for one in told if one[f"{field}_at"] >= iso(call.given[f"{field}_after"])]
        if f"{field}_before" in call.given:
            told = [one for one in told if one[f"{field}_at"] <= iso(call.given[f"{field}_before"])]
    key = "id" if call.given["order_by"] == "user_id" else call.given["order_by"]
    return sorted(told, key=lambda one: one[key], reverse=call.given["sort"] == "desc")


def pipeline_at(call):
    if call.at["pipeline_id"] not in call.project.pipelines:
        raise not_found()
    return call.project.pipelines[call.at["pipeline_id"]]


@endpoint("GET", "/projects/:id/pipelines/:pipeline_id", level=REPORTER)
def pipeline(call):
    """A single pipeline: doc/api/pipelines.md."""
    return call.world.view("pipeline", call.project, pipeline_at(call))


@endpoint("POST", "/projects/:id/pipelines/:pipeline_id/cancel", level=DEVELOPER, status=200)
def cancel(call):
    """Cancels a pipeline's jobs: doc/api/pipelines.md; only who may push or merge to its branch, where that is protected."""
    one = pipeline_at(call)
    if not call.world.may_touch(call.project, one["ref"], call.user):
        raise forbidden()
    for number in one["jobs"]:
        job = call.world.jobs[number]
        if job["status"] not in FINAL:
            finish(call.world, call.project, job, "canceled")
    one["updated_at"] = iso(call.world.now())
    return call.world.view("pipeline", call.project, one)


NEW = {"ref": string(True), "variables": Param("array"), "inputs": Param("hash")}


@endpoint("POST", "/projects/:id/pipeline", level=DEVELOPER, params=NEW)
def new_pipeline(call):
    """Starts a pipeline: doc/api/pipelines.md."""
    return call.world.view("pipeline", call.project, start(call, "api", call.given["ref"], call.user))


def start(call, source, ref, user):
    sha = call.project.store.tip(ref)
    if sha is None:
        raise message(400, {"base": ["Reference not found"]})
    if not call.world.may_touch(call.project, ref, user):
        text = "You do not have sufficient permission to run a pipeline on '" + ref + "'."
        raise message(400, {"base": [text]})
    return add_pipeline(call.world, call.project, source, ref, sha, user)


def add_pipeline(world, project, source, ref, sha, user, number=None):
    now = iso(world.now())
    one = {
        "id": number or world.next("pipeline", 77), "iid": len(project.pipelines) + 1, "source": source, "ref": ref,
        "sha": sha, "user": user["id"], "created_at": now, "updated_at": now, "jobs": [], "variables": [],
    }
    project.pipelines[one["id"]] = one
    return one


# Jobs

JOBS = {
    "scope": Param("array", values=[*STATUSES]), "include_retried": boolean(default=False), **KEYSET,
}


@endpoint("GET", "/projects/:id/pipelines/:pipeline_id/jobs", level=REPORTER, paged="id", params=JOBS)
def jobs_of(call):
    """A pipeline's jobs, the newest first: doc/api/jobs.md."""
    return shown(call, [call.world.jobs[number] for number in pipeline_at(call)["jobs"]])


@endpoint("GET", "/projects/:id/jobs", level=REPORTER, paged="id", params=JOBS)
def jobs(call):
    """A project's jobs, the newest first: doc/api/jobs.md."""
    return shown(call, [one for one in call.world.jobs.values() if one["project"] == call.project["id"]])


def shown(call, found):
    if not call.given["include_retried"]:
        found = [one for one in found if not one["retried"]]
    if "scope" in call.given:
        found = [one for one in found if one["status"] in call.given["scope"]]
    return [call.world.view("job", call.project, one) for one in sorted(found, key=lambda one: -one["id"])]


def job_at(call):
    one = call.world.jobs.get(call.at["job_id"])
    if one is None or one["project"] != call.project["id"]:
        raise not_found()
    return one


@endpoint("GET", "/projects/:id/jobs/:job_id", level=REPORTER)
def job(call):
    """A single job: doc/api/jobs.md."""
    return call.world.view("job", call.project, job_at(call))


@endpoint("GET", "/job", scope="none", job="only")
def own_job(call):
    """The job of a job token: doc/api/jobs.md."""
    one = call.world.jobs[call.token.job]
    return call.world.view("job", call.world.projects[one["project"]], one)


@endpoint("GET", "/projects/:id/jobs/:job_id/artifacts", level=DEVELOPER, params={"job_token": string()})
def artifacts(call):
    """A job's artifacts as one zip file, with `access: developer`: doc/api/job_artifacts.md, doc/ci/yaml/_index.md."""
    one = job_at(call)
    if one["archive"] is None:
        raise not_found()
    if call.world.redirect_artifacts:
        return 302, {"location": f"{call.world.storage}/{one['id']}/artifacts.zip", "content-type": "text/plain"}, b""
    headers = {"content-type": "application/octet-stream", "content-disposition": 'attachment; filename="artifacts.zip"'}
    return 200, headers, one["archive"]


@endpoint("POST", "/jobs/:job_id/artifacts", scope="none", job="only", open=True)
def upload(call):
    """What a runner, or whoever holds a job's token, uploads for it: doc/development/cicd/_index.md."""
    if call.token.job != call.at["job_id"]:
        raise forbidden()
    one = call.world.jobs[call.token.job]
    content = call.file()
    if one["archive"] is not None and one["archive"] != content:
        raise message(400, "another artifact of the same type already exists")
    one["archive"] = content
    return 201, {}, {"id": one["id"]}


def add_job(world, project, one, name, stage, status="created"):
    now = iso(world.now())
    number = world.next("job", 5001)
    for old in one["jobs"]:
        if world.jobs[old]["name"] == name:
            world.jobs[old]["retried"] = True
    world.jobs[number] = {
        "id": number, "name": name, "stage": stage, "status": status, "created_at": now, "started_at": None,
        "finished_at": None, "erased_at": None, "allow_failure": False, "archive": None, "retried": False,
        "pipeline": one["id"], "project": project["id"], "token": None,
    }
    one["jobs"].append(number)
    return world.jobs[number]


def begin(world, project, one):
    """A runner takes the job; its token, which works until it ends."""
    user = world.users[project.pipelines[one["pipeline"]]["user"]]
    one.update(status="running", started_at=iso(world.now()), token=world.mint(user, [], job=one["id"]))
    return one["token"]


def finish(world, project, one, status):
    one.update(status=status, finished_at=iso(world.now()))
    world.tokens.pop(one["token"], None)
    one["token"] = None
    project.pipelines[one["pipeline"]]["updated_at"] = iso(world.now())


# Triggers

TRIGGER = {"ref": string(blank=False), "token": string(True), "variables": Param("hash"), "inputs": Param("hash")}


def trigger(call):
    """Starts a pipeline with a trigger token: doc/api/pipeline_triggers.md; what else is sent becomes TRIGGER_PAYLOAD."""
    if call.headers.get("x-gitlab-event") == "Pipeline Hook":
        raise forbidden()
    variables = call.given.get("variables", {})
    if not all(isinstance(value, str) for value in variables.values()):
        raise message(400, "variables needs to be a map of key-valued strings")
    project = call.project = call.world.project(call.at["id"])
    owner = project.triggers.get(call.given["token"])
    if owner is None:
        raise not_found()
    ref = call.at.get("ref") or call.given.get("ref")
    if not ref:
        raise Refusal(400, {"error": "ref is missing"}, "ref is missing")
    one = start(call, "trigger", ref, call.world.user(owner))
    payload = {**call.raw, "id": call.at["id"], "ref": ref}
    payload.pop("token", None)
    payload.setdefault("variables", {})
    one["variables"] = [{"key": key, "value": value, "variable_type": "env_var"} for key, value in variables.items()]
    one["variables"].append({"key": "TRIGGER_PAYLOAD", "value": json.dumps(payload), "variable_type": "file"})
    return call.world.view("pipeline", project, one)


for path in ("/projects/:id/trigger/pipeline", "/projects/:id/ref/:ref/trigger/pipeline"):
    endpoint("POST", path, token=False, open=True, params=TRIGGER)(trigger)


@endpoint("GET", "/projects/:id/pipelines/:pipeline_id/variables", level=DEVELOPER, params={"page": integer()})
def variables_of(call):
    """A pipeline's variables: doc/api/pipelines.md."""
    if pipeline_at(call)["user"] != call.user["id"]:
        raise forbidden()
    return pipeline_at(call)["variables"]

