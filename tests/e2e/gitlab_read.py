#!/usr/bin/env python3
"""What a project holds, read by the real client python-gitlab: gitlab_read.py SITE PROJECT, with the token in TOKEN.

Prints one JSON object: branches, merge requests with notes and reactions, the statuses of their heads, issues, pipelines.
It writes nothing.
"""

import json
import os
import sys

import gitlab


def main():
    site, path = sys.argv[1:3]
    lab = gitlab.Gitlab(site, private_token=os.environ["TOKEN"], retry_transient_errors=False)
    project = lab.projects.get(path)
    branches = [branch.asdict() for branch in project.branches.list(iterator=True)]
    requests = []
    for request in project.mergerequests.list(iterator=True, order_by="created_at", sort="asc"):
        told = request.asdict()
        told["notes"] = []
        for note in request.notes.list(iterator=True, sort="asc"):
            awards = [] if note.system else note.awardemojis.list(get_all=True)
            told["notes"].append({**note.asdict(), "awards": [[award.user["username"], award.name] for award in awards]})
        told["versions"] = [version.asdict() for version in request.diffs.list(get_all=True)]
        told["statuses"] = [one.asdict() for one in project.commits.get(request.sha).statuses.list(get_all=True)]
        requests.append(told)
    issues = [issue.asdict() for issue in project.issues.list(iterator=True, sort="asc")]
    pipelines = [pipeline.asdict() for pipeline in project.pipelines.list(iterator=True, sort="asc")]
    json.dump({"branches": branches, "merge_requests": requests, "issues": issues, "pipelines": pipelines}, sys.stdout)


if __name__ == "__main__":
    main()
