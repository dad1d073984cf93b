#!/usr/bin/env python3
"""A story at the offline GitLab, told with the real client python-gitlab: gitlab_story.py SITE DOOR PROJECT

Whatever it does, it reads back. DOOR is where the tests' own door answers, without the path of SITE: a runner is not played
through the API. It refuses a server that the client cannot work with.
"""

import io
import json
import sys
import urllib.request
import zipfile

import gitlab


def refused(status, run, text=""):
    """That something is refused, with this status and text."""
    try:
        run()
    except gitlab.GitlabError as error:
        assert error.response_code == status and text in str(error), error
        return
    raise AssertionError(f"it is not refused with {status}")


def main():
    site, door, path = sys.argv[1:4]

    def control(name, body, query=""):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{door}/_test/{name}{query}", data=data)) as answer:
            return json.load(answer)

    someone = lambda name: gitlab.Gitlab(site, private_token=f"glpat-{name}", retry_transient_errors=False)
    lab, dev = someone("owner"), someone("contributor")
    dev.auth()
    assert dev.user.username == "contributor"
    project, theirs = lab.projects.get(path), dev.projects.get(path)
    assert theirs.id == project.id and dev.projects.get(project.id).path_with_namespace == path

    members(lab, project, someone)
    branches(project, theirs)
    request = merge_request(project, theirs)
    notes(project, request, someone)
    statuses(project, theirs, request)
    issues(theirs)
    pipelines(project, someone, control)
    pages(project, request)
    errors(site, path, project, theirs, someone)
    print("told")


def members(lab, project, someone):
    reader = next(iter(lab.users.list(username="reader", get_all=True)))
    assert project.members_all.get(reader.id).access_level == 20
    assert lab.users.get(reader.id).bot is False
    stranger = next(iter(lab.users.list(username="drive-by", get_all=True)))
    refused(404, lambda: project.members_all.get(stranger.id))
    refused(404, lambda: someone("drive-by").projects.get(project.id), "404 Project Not Found")
    project.members.create({"user_id": stranger.id, "access_level": gitlab.const.AccessLevel.GUEST})
    assert project.members_all.get(stranger.id).access_level == 10
    assert "drive-by" in [member.username for member in project.members_all.list(get_all=True)]


def branches(project, theirs):
    theirs.branches.create({"branch": "story/one", "ref": "feature"})
    assert theirs.branches.get("story/one").commit["id"] == theirs.branches.get("feature").commit["id"]
    assert project.branches.get("main").protected and not project.branches.get("feature").protected
    project.protectedbranches.create({"name": "release", "push_access_level": 40, "merge_access_level": 30})
    assert project.protectedbranches.get("release").merge_access_levels[0]["access_level"] == 30
    difference = project.repository_compare("main", "story/one")
    assert [change["new_path"] for change in difference["diffs"]] == ["feature.txt"]
    base = project.repository_merge_base(["main", "story/one"])
    assert base["id"] == project.branches.get("main").commit["id"]
    assert project.files.raw(file_path="feature.txt", ref="story/one") == b"half of it\n"
    assert project.commits.get("story/one").title == "A change"


def merge_request(project, theirs):
    wanted = {"source_branch": "story/one", "target_branch": "main", "title": "A story", "description": "Of one branch."}
    made = theirs.mergerequests.create(wanted)
    refused(409, lambda: theirs.mergerequests.create(wanted), "Another open merge request already exists")
    request = project.mergerequests.get(made.iid)
    assert (request.author["username"], request.state, request.source_project_id) == ("contributor", "opened", project.id)
    request.title = "A longer story"
    request.save()
    found = project.mergerequests.list(state="opened", source_branch="story/one", get_all=True)
    assert [one.title for one in found] == ["A longer story"]
    assert [one.head_commit_sha for one in request.diffs.list(get_all=True)] == [request.sha]
    request.state_event = "close"
    request.save()
    assert not project.mergerequests.list(state="opened", source_branch="story/one", get_all=True)
    request.state_event = "reopen"
    request.save()
    return request


def notes(project, request, someone):
    reader = someone("reader").projects.get(project.id).mergerequests.get(request.iid)
    note = reader.notes.create({"body": "What a story."})
    assert note.created_at == note.updated_at and not note.system
    award = someone("owner").projects.get(project.id).mergerequests.get(request.iid).notes.get(note.id).awardemojis
    award.create({"name": "eyes"})
    refused(404, lambda: award.create({"name": "eyes"}), "has already been taken")
    assert [(one.name, one.user["username"]) for one in award.list(get_all=True)] == [("eyes", "owner")]
    # A reaction moves a note's time, as editing does.
    assert reader.notes.get(note.id).updated_at > note.created_at
    note.body = "What a story!"
    note.save()
    assert request.notes.get(note.id).body == "What a story!"
    other = someone("contributor").projects.get(project.id).mergerequests.get(request.iid).notes.get(note.id)
    other.body = "Mine."
    refused(403, other.save)


def statuses(project, theirs, request):
    commit = theirs.commits.get(request.sha)
    commit.statuses.create({"state": "running", "name": "omk", "description": "at it"})
    refused(400, lambda: commit.statuses.create({"state": "running", "name": "omk"}), "Cannot transition status via :run")
    commit.statuses.create({"state": "success", "name": "omk", "target_url": "https://gitlab.example.test/x#1"})
    commit.statuses.create({"state": "pending", "name": "omk"})
    told = [(one.name, one.status) for one in project.commits.get(request.sha).statuses.list(get_all=True)]
    assert told == [("omk", "pending")], told
    assert len(project.commits.get(request.sha).statuses.list(all=True, get_all=True)) == 2
    assert request.pipelines.list(get_all=True)[0].source == "external"


def issues(theirs):
    issue = theirs.issues.create({"title": "Dashboard", "description": "Nothing yet."})
    issue.description = "Something."
    issue.save()
    assert [one.description for one in theirs.issues.list(search="Dash", get_all=True)] == ["Something."]
    issue.state_event = "close"
    issue.save()
    assert theirs.issues.get(issue.iid).state == "closed"


def pipelines(project, someone, control):
    jobs = [["omk-gate", "gate"], ["omk-run", "run"]]
    made = control("pipelines", {"source": "schedule", "username": "maintainer", "jobs": jobs})
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("omk-out/request.json", "{}")
    token = control("start_job", {"job": made["jobs"]["omk-gate"]})["token"]
    own = gitlab.Gitlab(project.manager.gitlab.url, job_token=token)
    assert own.http_get("/job")["name"] == "omk-gate"
    refused(401, lambda: own.projects.get(project.id))
    control("artifacts", content.getvalue(), f"?job={made['jobs']['omk-gate']}")
    control("finish_job", {"job": made["jobs"]["omk-gate"], "status": "success"})
    refused(401, lambda: own.http_get("/job"))
    pipeline = project.pipelines.get(made["id"])
    assert (pipeline.source, pipeline.status) == ("schedule", "running")
    found = {job.name: job for job in pipeline.jobs.list(get_all=True)}
    assert list(found) == ["omk-run", "omk-gate"] and found["omk-gate"].artifacts_file["filename"] == "artifacts.zip"
    read = project.jobs.get(found["omk-gate"].id).artifacts()
    assert zipfile.ZipFile(io.BytesIO(read)).namelist() == ["omk-out/request.json"]
    refused(404, project.jobs.get(found["omk-run"].id).artifacts)
    # Whoever may not push or merge to a protected branch may not stop its pipelines.
    theirs = someone("contributor").projects.get(project.id).pipelines.get(pipeline.id)
    refused(403, theirs.cancel)
    pipeline.cancel()
    assert project.pipelines.get(made["id"]).status == "canceled"
    found = project.pipelines.list(sha=pipeline.sha, source="schedule", get_all=True)
    assert [one.id for one in found] == [pipeline.id]


def pages(project, request):
    for number in range(45):
        request.notes.create({"body": f"Note {number}"})
    listed = request.notes.list(iterator=True, sort="asc", activity_filter="only_comments")
    assert listed.total == 46 and listed.total_pages == 3
    assert [note.body for note in listed][1:] == [f"Note {number}" for number in range(45)]
    assert len(request.notes.list(page=3, per_page=20)) == 6
    keyset = project.jobs.list(iterator=True, pagination="keyset", order_by="id", sort="desc", per_page=1)
    assert [job.name for job in keyset] == ["omk-run", "omk-gate"]


def errors(site, path, project, theirs, someone):
    refused(401, lambda: gitlab.Gitlab(site, private_token="glpat-nobody").projects.get(path), "401 Unauthorized")
    refused(404, lambda: project.mergerequests.get(4711))
    refused(400, lambda: project.mergerequests.list(state="ajar", get_all=True), "state does not have a valid value")
    refused(403, lambda: theirs.protectedbranches.create({"name": "x"}))
    judge = someone("judge").projects.get(path)
    refused(403, lambda: judge.issues.create({"title": "May I?"}), "insufficient_scope")


if __name__ == "__main__":
    main()
