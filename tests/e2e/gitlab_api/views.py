"""How things look from outside: the fields that GitLab's documentation shows."""

FINAL = ("success", "failed", "canceled", "skipped")


def user_basic(world, number):
    user = world.users.get(number)
    if user is None:
        return None
    told = {name: user[name] for name in ("id", "username", "name", "state")}
    return {**told, "locked": False, "avatar_url": None, "public_email": None, "web_url": f"{world.site}/{user['username']}"}


def user_public(world, number):
    user = world.users[number]
    return {**user_basic(world, number), "bot": user["bot"], "created_at": user["created_at"], "bio": "", "location": ""}


def project(world, one):
    path = one["path_with_namespace"]
    space, _, name = path.rpartition("/")
    told = {
        "id": one["id"], "description": None, "name": name, "name_with_namespace": path.replace("/", " / "), "path": name,
        "path_with_namespace": path, "created_at": one["created_at"], "default_branch": one["default_branch"],
        "visibility": one["visibility"], "archived": one["archived"], "web_url": world.web(one), "topics": [],
        "http_url_to_repo": world.web(one, ".git"), "ssh_url_to_repo": f"git@gitlab.example.test:{path}.git",
        "namespace": {"id": 5, "name": space, "path": space, "kind": "group", "full_path": space, "parent_id": None},
        "empty_repo": not one.store.refs(), "issues_enabled": True, "merge_requests_enabled": True, "jobs_enabled": True,
        "public_jobs": False, "ci_forward_deployment_enabled": True, "merge_method": "merge", "creator_id": 1,
        "_links": {"self": world.api(one), "merge_requests": world.api(one, "/merge_requests")},
    }
    if one["forked_from"]:
        parent = world.projects.get(one["forked_from"])
        told["forked_from_project"] = parent and {"id": parent["id"], "path_with_namespace": parent["path_with_namespace"]}
    return told


def commit(world, one, sha):
    author, mail, authored, committer, sent, committed, parents, title, message = one.store.described(sha)
    return {
        "id": sha, "short_id": sha[:8], "created_at": committed, "parent_ids": parents.split(), "title": title,
        "message": message, "author_name": author, "author_email": mail, "authored_date": authored,
        "committer_name": committer, "committer_email": sent, "committed_date": committed, "trailers": {},
        "extended_trailers": {}, "web_url": world.web(one, f"/-/commit/{sha}"),
    }


def branch(world, one, name, user):
    sha, rule = one.store.tip(name), one.protected.get(name)
    level = world.level(one, user)
    return {
        "name": name, "commit": commit(world, one, sha), "merged": False, "protected": rule is not None,
        "developers_can_push": bool(rule and rule["push"] == 30), "developers_can_merge": bool(rule and rule["merge"] == 30),
        "can_push": level >= (rule["push"] or 99 if rule else 30), "default": name == one["default_branch"],
        "web_url": world.web(one, f"/-/tree/{name}"),
    }


def protected_branch(_world, _one, name, rule):
    levels = {0: "No one", 30: "Developers + Maintainers", 40: "Maintainers"}
    access = lambda level: [{"id": 1, "access_level": level, "access_level_description": levels[level]}]
    return {
        "id": rule["id"], "name": name, "push_access_levels": access(rule["push"]),
        "merge_access_levels": access(rule["merge"]), "allow_force_push": rule["force"],
    }


def merge_request(world, one, request):
    source = request["source_project_id"]
    path, iid = one["path_with_namespace"], request["iid"]
    keys = ("id", "iid", "title", "description", "state", "created_at", "updated_at", "target_branch", "source_branch",
            "labels", "sha", "closed_at", "merged_at", "merge_commit_sha", "squash_commit_sha")
    told = {name: request[name] for name in keys}
    versions = request["versions"]
    return {
        **told, "project_id": one["id"], "target_project_id": one["id"],
        "source_project_id": source if source in world.projects else None, "author": user_basic(world, request["author"]),
        "merged_by": None, "merge_user": None, "closed_by": None, "upvotes": 0, "downvotes": 0, "assignees": [],
        "assignee": None, "reviewers": [], "draft": request["title"].startswith("Draft:"), "work_in_progress": False,
        "milestone": None, "merge_when_pipeline_succeeds": False, "merge_status": "can_be_merged",
        "detailed_merge_status": "mergeable", "user_notes_count": sum(not note["system"] for note in request["notes"]),
        "discussion_locked": None, "should_remove_source_branch": None,
        "force_remove_source_branch": request["remove_source_branch"], "reference": f"!{iid}",
        "references": {"short": f"!{iid}", "relative": f"!{iid}", "full": f"{path}!{iid}"},
        "web_url": world.web(one, f"/-/merge_requests/{iid}"), "squash": request["squash"], "has_conflicts": False,
        "time_stats": {"time_estimate": 0, "total_time_spent": 0},
        "task_completion_status": {"count": 0, "completed_count": 0}, "blocking_discussions_resolved": True,
        "diff_refs": versions and {
            "base_sha": versions[-1]["base_commit_sha"], "head_sha": versions[-1]["head_commit_sha"],
            "start_sha": versions[-1]["start_commit_sha"],
        } or None,
    }


def note(world, one):
    keys = ("id", "type", "body", "created_at", "updated_at", "system", "noteable_id", "noteable_type", "project_id",
            "noteable_iid", "internal")
    return {
        **{name: one[name] for name in keys}, "attachment": None, "author": user_basic(world, one["author"]),
        "resolvable": False, "confidential": one["internal"], "imported": False, "imported_from": "none",
        "commands_changes": {},
    }


def award(world, one):
    return {**one, "user": user_basic(world, one["user"]), "url": None}


def issue(world, one, this):
    keys = ("id", "iid", "title", "description", "state", "created_at", "updated_at", "closed_at", "labels")
    path, iid = one["path_with_namespace"], this["iid"]
    return {
        **{name: this[name] for name in keys}, "project_id": one["id"], "author": user_basic(world, this["author"]),
        "closed_by": None, "milestone": None, "assignees": [], "assignee": None, "type": "ISSUE", "issue_type": "issue",
        "user_notes_count": sum(not note["system"] for note in this["notes"]), "upvotes": 0, "downvotes": 0,
        "due_date": None, "confidential": False, "discussion_locked": None, "has_tasks": False,
        "web_url": world.web(one, f"/-/issues/{iid}"), "merge_requests_count": 0,
        "references": {"short": f"#{iid}", "relative": f"#{iid}", "full": f"{path}#{iid}"},
    }


def status(world, one):
    keys = ("id", "sha", "ref", "status", "name", "target_url", "description", "created_at", "started_at", "finished_at",
            "allow_failure", "coverage", "pipeline_id")
    return {**{name: one[name] for name in keys}, "author": user_basic(world, one["author"])}


def pipeline_state(world, one, pipeline):
    """What a pipeline's jobs and statuses make of it."""
    told = [world.jobs[number]["status"] for number in pipeline["jobs"] if not world.jobs[number]["retried"]]
    told += [this["status"] for this in one.statuses if this["pipeline_id"] == pipeline["id"] and not this["retried"]]
    if not told:
        return "created" if pipeline["source"] != "external" else "pending"
    for state in ("running", "canceling", "pending"):
        if state in told:
            return state
    if "created" in told:
        return "created" if set(told) <= {"created"} else "running"
    for state in ("canceled", "failed", "success"):
        if state in told:
            return state
    return "skipped"


def pipeline_basic(world, one, pipeline):
    keys = ("id", "iid", "sha", "ref", "source", "created_at", "updated_at")
    return {
        **{name: pipeline[name] for name in keys}, "project_id": one["id"], "name": None,
        "status": pipeline_state(world, one, pipeline), "web_url": world.web(one, f"/-/pipelines/{pipeline['id']}"),
    }


def pipeline(world, one, this):
    state = pipeline_state(world, one, this)
    return {
        **pipeline_basic(world, one, this), "before_sha": "0" * 40, "tag": False, "yaml_errors": None,
        "user": user_basic(world, this["user"]), "started_at": this["created_at"], "committed_at": None,
        "finished_at": this["updated_at"] if state in FINAL else None, "duration": None, "queued_duration": None,
        "coverage": None, "archived": False,
        "detailed_status": {"text": state, "label": state, "group": state, "has_details": True},
    }


def job(world, one, this):
    pipeline_of = one.pipelines[this["pipeline"]]
    keys = ("id", "name", "stage", "status", "created_at", "started_at", "finished_at", "erased_at", "allow_failure")
    told = {name: this[name] for name in keys}
    archive = this["archive"]
    if archive is not None:
        file = {"filename": "artifacts.zip", "size": len(archive)}
        told["artifacts_file"] = file
        told["artifacts"] = [{"file_type": "archive", "file_format": "zip", **file}]
    return {
        "artifacts": [], **told, "ref": pipeline_of["ref"], "tag": False, "coverage": None, "duration": None,
        "queued_duration": None, "user": user_public(world, pipeline_of["user"]), "runner": None, "runner_manager": None,
        "artifacts_expire_at": None, "archived": False, "source": pipeline_of["source"], "tag_list": [],
        "commit": commit(world, one, pipeline_of["sha"]), "pipeline": pipeline_basic(world, one, pipeline_of),
        "project": {"ci_job_token_scope_enabled": False}, "web_url": world.web(one, f"/-/jobs/{this['id']}"),
    }
