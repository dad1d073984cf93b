"""Merge requests and their versions, and issues: doc/api/merge_requests.md, issues.md."""

from .declare import (
    DEVELOPER, GUEST, REPORTER, Param, Refusal, boolean, endpoint, forbidden, integer, message, moment, not_found, one_of,
    string,
)
from .world import iso

COMMON = {
    "order_by": one_of("created_at", "updated_at", "title", "merged_at", default="created_at"),
    "sort": one_of("asc", "desc", default="desc"), "labels": string(), "milestone": string(), "search": string(),
    "created_after": moment(), "created_before": moment(), "updated_after": moment(), "updated_before": moment(),
    "author_id": integer(), "author_username": string(), "my_reaction_emoji": string(), "in": string(),
    "iids": Param("integers"), "with_labels_details": boolean(), "assignee_id": integer(),
    "scope": one_of("created_by_me", "assigned_to_me", "reviews_for_me", "all", default="all"),
}


def chosen(call, found):
    """What the filters that both lists have leave, in the order that was asked for."""
    given = call.given
    if given.get("state", "all") != "all":
        found = [one for one in found if one["state"] == given["state"]]
    for field in ("created", "updated"):
        if f"{field}_after" in given:
            found = [one for one in found if one[f"{field}_at"] >= iso(given[f"{field}_after"])]
        if f"{field}_before" in given:
            found = [one for one in found if one[f"{field}_at"] <= iso(given[f"{field}_before"])]
    for name in ("source_branch", "target_branch"):
        if name in given:
            found = [one for one in found if one[name] == given[name]]
    if "iids" in given:
        found = [one for one in found if one["iid"] in given["iids"]]
    if "labels" in given:
        wanted = set(given["labels"].split(","))
        found = [one for one in found if wanted <= set(one["labels"])]
    author = given.get("author_id")
    if "author_username" in given:
        author = call.world.user(given["author_username"])["id"]
    if given["scope"] == "created_by_me":
        author = call.user["id"]
    if author is not None:
        found = [one for one in found if one["author"] == author]
    if "search" in given:
        word, places = given["search"].lower(), given.get("in", "title,description").split(",")
        found = [one for one in found if any(word in (one[place] or "").lower() for place in places)]
    key = given["order_by"]
    return sorted(found, key=lambda one: (one[key] or "", one["id"]), reverse=given["sort"] == "desc")


LIST = {
    **COMMON, "state": one_of("opened", "closed", "locked", "merged", "all", default="all"), "view": one_of("simple"),
    "source_branch": string(), "target_branch": string(), "wip": one_of("yes", "no"), "reviewer_id": integer(),
    "with_merge_status_recheck": boolean(),
}


@endpoint("GET", "/projects/:id/merge_requests", level=REPORTER, paged=True, params=LIST)
def merge_requests(call):
    """Merge requests into this project: doc/api/merge_requests.md."""
    found = chosen(call, list(call.project.requests.values()))
    return [call.world.view("merge_request", call.project, one) for one in found]


ONE = {"render_html": boolean(), "include_diverged_commits_count": boolean(), "include_rebase_in_progress": boolean()}


@endpoint("GET", "/projects/:id/merge_requests/:iid", level=REPORTER, params=ONE)
def merge_request(call):
    """A single merge request: doc/api/merge_requests.md."""
    return call.world.view("merge_request", call.project, call.world.request(call.project, call.at["iid"]))


WRITE = {
    "description": string(most=1_048_576), "labels": string(), "remove_source_branch": boolean(), "squash": boolean(),
    "assignee_id": integer(), "assignee_ids": Param("integers"), "reviewer_ids": Param("integers"),
    "milestone_id": integer(), "allow_collaboration": boolean(),
}
NEW = {
    "title": string(True), "source_branch": string(True), "target_branch": string(True), "target_project_id": integer(),
    **WRITE,
}


def titled(call):
    """GitLab keeps titles to 255 characters."""
    if len(call.given.get("title", "")) > 255:
        text = "is too long (maximum is 255 characters)"
        raise Refusal(400, {"message": {"title": [text]}}, f"title {text}")


@endpoint("POST", "/projects/:id/merge_requests", level=REPORTER, params=NEW)
def new_merge_request(call):
    """Opens a merge request from this project: doc/api/merge_requests.md."""
    titled(call)
    target = call.project
    if "target_project_id" in call.given:
        target = call.world.project(call.given["target_project_id"])
    if call.level < DEVELOPER:
        raise forbidden()
    source, into = call.given["source_branch"], call.given["target_branch"]
    for one in target.requests.values():
        same = (one["source_project_id"], one["source_branch"], one["target_branch"])
        if one["state"] == "opened" and same == (call.project["id"], source, into):
            text = f"Another open merge request already exists for this source branch: !{one['iid']}"
            raise message(409, [text])
    head = call.project.store.tip(source)
    for name, store, branch in (("Source", call.project.store, source), ("Target", target.store, into)):
        if store.tip(branch) is None:
            raise message(422, [f'{name} branch "{branch}" does not exist'])
    if target is call.project and source == into:
        raise message(409, ["You can't use same project/branch for source and target"])
    return call.world.view("merge_request", target, open_request(call.world, target, call.project, head, call.given, call.user))


def open_request(world, target, source, head, given, user):
    """A merge request with its first version; tests seed theirs with it too."""
    now = iso(world.now())
    iid = given.get("iid") or max([*target.requests, 0]) + 1
    request = {
        "id": world.next("request", 501), "iid": iid, "title": given["title"], "description": given.get("description"),
        "state": "opened", "created_at": now, "updated_at": now, "target_branch": given["target_branch"], "sha": head,
        "source_branch": given["source_branch"], "source_project_id": source["id"], "author": user["id"],
        "labels": [one for one in given.get("labels", "").split(",") if one], "closed_at": None, "merged_at": None,
        "merge_commit_sha": None, "squash_commit_sha": None, "squash": given.get("squash", False), "notes": [],
        "remove_source_branch": given.get("remove_source_branch", False), "versions": [],
    }
    target.requests[iid] = request
    world.new_version(target, request, head, world.push_time())
    return request


CHANGE = {
    "title": string(blank=False), "target_branch": string(blank=False), "state_event": one_of("close", "reopen"),
    "add_labels": string(), "remove_labels": string(), "discussion_locked": boolean(), **WRITE,
}


def labelled(call, one):
    """The labels after a change."""
    if "labels" in call.given:
        one["labels"] = [label for label in call.given["labels"].split(",") if label]
    added = [label for label in call.given.get("add_labels", "").split(",") if label]
    gone = call.given.get("remove_labels", "").split(",")
    one["labels"] = [label for label in dict.fromkeys([*one["labels"], *added]) if label not in gone]


def changed(call, one):
    """Applies what was given; who wrote it and developers may."""
    if call.level < DEVELOPER and one["author"] != call.user["id"]:
        raise forbidden()
    titled(call)
    one.update({name: call.given[name] for name in ("title", "description", "target_branch", "squash") if name in call.given})
    labelled(call, one)
    event = call.given.get("state_event")
    if event:
        one["state"] = {"close": "closed", "reopen": "opened"}[event]
        one["closed_at"] = iso(call.world.now()) if event == "close" else None
    one["updated_at"] = iso(call.world.now())


@endpoint("PUT", "/projects/:id/merge_requests/:iid", level=REPORTER, params=CHANGE, needs_one=list(CHANGE))
def change_merge_request(call):
    """Changes a merge request: doc/api/merge_requests.md."""
    one = call.world.request(call.project, call.at["iid"])
    changed(call, one)
    return call.world.view("merge_request", call.project, one)


@endpoint("GET", "/projects/:id/merge_requests/:iid/versions", level=REPORTER, paged=True)
def versions(call):
    """Versions of the diff, the newest first: doc/api/merge_requests.md."""
    return list(reversed(call.world.request(call.project, call.at["iid"])["versions"]))


@endpoint("GET", "/projects/:id/merge_requests/:iid/pipelines", level=REPORTER, paged=True)
def pipelines(call):
    """Pipelines of a merge request: doc/api/merge_requests.md."""
    one = call.world.request(call.project, call.at["iid"])
    heads = {version["head_commit_sha"] for version in one["versions"]}
    found = [pipeline for pipeline in call.project.pipelines.values() if pipeline["sha"] in heads]
    return [call.world.view("pipeline_basic", call.project, pipeline) for pipeline in reversed(found)]


# Issues

ISSUES = {
    **COMMON, "state": one_of("opened", "closed", "all", default="all"), "confidential": boolean(), "due_date": string(),
    "order_by": one_of("created_at", "updated_at", "title", "due_date", "priority", default="created_at"),
}


@endpoint("GET", "/projects/:id/issues", level=GUEST, paged=True, params=ISSUES)
def issues(call):
    """A project's issues: doc/api/issues.md."""
    return [call.world.view("issue", call.project, one) for one in chosen(call, list(call.project.issues.values()))]


def issue_at(call):
    if call.at["iid"] not in call.project.issues:
        raise not_found()
    return call.project.issues[call.at["iid"]]


@endpoint("GET", "/projects/:id/issues/:iid", level=GUEST)
def issue(call):
    """A single issue: doc/api/issues.md."""
    return call.world.view("issue", call.project, issue_at(call))


ISSUE = {
    "description": string(most=1_048_576), "labels": string(), "assignee_ids": Param("integers"), "confidential": boolean(),
    "milestone_id": integer(), "due_date": string(), "issue_type": one_of("issue", "incident", "task"),
}


@endpoint("POST", "/projects/:id/issues", level=GUEST, params={"title": string(True, blank=False), **ISSUE})
def new_issue(call):
    """Opens an issue: doc/api/issues.md."""
    titled(call)
    now, iid = iso(call.world.now()), max([*call.project.issues, 0]) + 1
    labels = [one for one in call.given.get("labels", "").split(",") if one]
    call.project.issues[iid] = {
        "id": call.world.next("issue", 801), "iid": iid, "title": call.given["title"], "labels": labels, "notes": [],
        "description": call.given.get("description"), "state": "opened", "created_at": now, "updated_at": now,
        "closed_at": None, "author": call.user["id"], "target_branch": None, "squash": None,
    }
    return call.world.view("issue", call.project, call.project.issues[iid])


EDIT = {
    "title": string(blank=False), "state_event": one_of("close", "reopen"), "add_labels": string(),
    "remove_labels": string(), "discussion_locked": boolean(), **ISSUE,
}


@endpoint("PUT", "/projects/:id/issues/:iid", level=GUEST, params=EDIT, needs_one=list(EDIT))
def change_issue(call):
    """Changes an issue: doc/api/issues.md."""
    one = issue_at(call)
    changed(call, one)
    return call.world.view("issue", call.project, one)
