"""What the front door keeps itself, since emulate lacks it or gets it wrong: reactions, statuses, pushes and when they
were, workflow runs, artifacts, rights, annotations that add up, heads that move, and who a bot is.

`/_test/...` is the harness's own door to it; nothing there is GitHub's.
"""

import hashlib
import json
import re
import secrets
import time
from urllib.parse import quote

ZERO = "0" * 40
# The real number of GitHub's own app; the other one is of an app that somebody brought.
BOTS = {"github-actions[bot]": 41898282, "omk-action[bot]": 98765432, "renovate[bot]": 29139614}
APPS = {"github-actions": 15368, "omk-action": 12345}
ROLES = ["read", "triage", "write", "maintain", "admin"]


def json_answer(status, value, headers=None):
    return status, {"content-type": "application/json; charset=utf-8", **(headers or {})}, json.dumps(value).encode()


def iso(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def rights_of(role):
    """What GitHub says of one of its own roles."""
    rank = ROLES.index(role)
    names = dict(zip(("pull", "triage", "push", "maintain", "admin"), ROLES))
    coarse = {"triage": "read", "maintain": "write"}.get(role, role)
    rights = {name: ROLES.index(least) <= rank for name, least in names.items()}
    return {"permission": coarse, "role_name": role, "permissions": rights}


def merge(into, values):
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            merge(into[name], value)
        else:
            into[name] = value


class Kept:
    def __init__(self, door):
        self.door, self.repo = door, "acme/widget"
        self.base = f"/repos/{self.repo}"
        self.ids, self.number = dict(BOTS), 1000
        self.rights = {name: rights_of(role) for name, role in (
            ("maintainer", "admin"), ("contributor", "write"), ("reader", "read"), ("drive-by", "read"))}
        self.protected, self.pushes, self.push_age, self.pushed_at = {"main"}, [], 3600, 0
        self.reactions, self.statuses, self.annotations, self.apps = {}, {}, {}, {}
        self.runs, self.artifacts, self.archives, self.releases = {}, {}, {}, {}
        self.labels, self.overrides, self.repository_id = {}, [], None

    def next(self):
        self.number += 1
        return self.number

    def people(self, path):
        """Asks the emulator as somebody who may do all."""
        status, _, read = self.door.ask(self.door.emulate, "GET", path, {"authorization": "Bearer ghp_maintainer"}, b"")
        return json.loads(read) if status == 200 else None

    def account(self, login):
        if login not in self.ids:
            known = self.people("/users/" + quote(login))
            if not known:
                return None
            self.ids[login] = known["id"]
        return {"login": login, "id": self.ids[login], "type": "Bot" if login.endswith("[bot]") else "User"}

    def id(self):
        if self.repository_id is None:
            self.repository_id = self.people(self.base)["id"]
        return self.repository_id

    def may_push(self, login):
        return self.rights.get(login, {}).get("permissions", {}).get("push", False)

    # Requests that are answered here

    def answer(self, method, path, query, given, holder):
        if path == "/user" and holder.permissions is not None:
            return json_answer(403, {"message": "Resource not accessible by integration"})
        if found := re.fullmatch(r"/users/(.+\[bot\])", path):
            account = self.account(found[1]) if found[1] in BOTS else None
            return json_answer(200, account) if account else json_answer(404, {"message": "Not Found"})
        if not path.startswith(self.base):
            return None
        rest = path[len(self.base) :]
        with self.door.lock:
            for pattern, answer in self.ROUTES:
                if found := re.fullmatch(pattern, f"{method} {rest}"):
                    return getattr(self, answer)(found, query, given, holder)
        return None

    ROUTES = [
        (r"GET /installation", "installation"),
        (r"GET /collaborators/([^/]+)/permission", "permission"),
        (r"GET /activity", "activity"),
        (r"(GET|POST) /issues/comments/(\d+)/reactions", "react"),
        (r"DELETE /issues/comments/(\d+)/reactions/(\d+)", "unreact"),
        (r"POST /statuses/([0-9a-f]{40})", "put_status"),
        (r"GET /commits/(.+)/(status|statuses)", "get_status"),
        (r"GET /check-runs/(\d+)/annotations", "get_annotations"),
        (r"(POST|PATCH) /check-runs(?:/(\d+))?", "check_refused"),
        (r"(?:POST|PATCH) /issues/(?:\d+/comments|comments/\d+)", "comment_refused"),
        (r"GET /issues/(\d+)", "pull_as_issue"),
        (r"(GET|POST) /issues/(\d+)/labels", "label"),
        (r"GET /actions/runs", "list_runs"),
        (r"GET /actions/runs/(\d+)", "get_run"),
        (r"POST /actions/runs/(\d+)/cancel", "cancel_run"),
        (r"GET /actions/(?:runs/(\d+)/)?artifacts", "list_artifacts"),
        (r"GET /actions/artifacts/(\d+)", "get_artifact"),
        (r"GET /actions/artifacts/(\d+)/zip", "download"),
    ]

    def page(self, path, items, query, wrap=None):
        """One page of a list, with GitHub's way to tell the next."""
        size, page = int(query.get("per_page", 30)), int(query.get("page", 1))
        some, headers = items[(page - 1) * size : page * size], {}
        if len(items) > page * size:
            more = "&".join(f"{name}={quote(value)}" for name, value in {**query, "page": str(page + 1)}.items())
            headers["link"] = f'<{self.door.url}{self.base}{path}?{more}>; rel="next"'
        return json_answer(200, {"total_count": len(items), wrap: some} if wrap else some, headers)

    def installation(self, _found, _query, _given, holder):
        del holder
        # emulate would name the first one, whoever asks; the App that people bring is the only one that asks.
        return json_answer(200, {"id": 101, "app_id": 12345, "app_slug": "omk-action", "permissions": {}, "events": []})

    def permission(self, found, *_):
        account, rights = self.account(found[1]), self.rights.get(found[1])
        if account is None or (rights or {}).get("unknown"):
            return json_answer(404, {"message": f"{found[1]} is not a user"})
        rights = rights or rights_of("read")
        user = {**account, "permissions": rights["permissions"]} if rights.get("permissions") else account
        told = {"permission": rights["permission"], "user": user}
        return json_answer(200, {**told, **({"role_name": rights["role_name"]} if "role_name" in rights else {})})

    def activity(self, _found, query, *_):
        wanted = query.get("ref", "")
        full = wanted if wanted.startswith("refs/") or not wanted else f"refs/heads/{wanted}"
        items = [push for push in reversed(self.pushes) if not full or push["ref"] == full]
        if kind := query.get("activity_type"):
            items = [push for push in items if push["activity_type"] == kind]
        return self.page("/activity", items, query)

    def react(self, found, query, given, holder):
        method, comment = found[1], int(found[2])
        if not self.people(f"{self.base}/issues/comments/{comment}"):
            return json_answer(404, {"message": "Not Found"})
        there = self.reactions.setdefault(comment, [])
        if method == "GET":
            wanted = [one for one in there if query.get("content") in (None, one["content"])]
            return self.page(f"/issues/comments/{comment}/reactions", wanted, query)
        for one in there:
            if (one["user"]["login"], one["content"]) == (holder.login, given["content"]):
                return json_answer(200, one)
        one = {"id": self.next(), "user": self.account(holder.login), "content": given["content"]}
        there.append({**one, "created_at": iso(time.time())})
        return json_answer(201, there[-1])

    def unreact(self, found, *_):
        there = self.reactions.get(int(found[1]), [])
        self.reactions[int(found[1])] = [one for one in there if one["id"] != int(found[2])]
        return 204, {}, b""

    def put_status(self, found, _query, given, holder):
        status = {"id": self.next(), "creator": self.account(holder.login), "created_at": iso(time.time()), **given}
        status.setdefault("context", "default")
        self.statuses.setdefault(found[1], []).insert(0, status)
        return json_answer(201, status)

    def get_status(self, found, query, *_):
        commit = self.door.repository.git("rev-parse", "--verify", "--quiet", found[1], check=False).decode().strip()
        there = self.statuses.get(commit or found[1], [])
        if found[2] == "statuses":
            return self.page(f"/commits/{found[1]}/statuses", there, query)
        latest = list({status["context"]: status for status in reversed(there)}.values())
        return json_answer(200, {"state": latest[-1]["state"] if latest else "pending", "sha": commit, "statuses": latest})

    def get_annotations(self, found, query, *_):
        return self.page(f"/check-runs/{found[1]}/annotations", self.annotations.get(int(found[1]), []), query)

    def check_refused(self, found, _query, given, holder):
        output = given.get("output") or {}
        if holder.app is None:
            return json_answer(403, {"message": "You must authenticate via a GitHub App."})
        if found[2] and self.apps.get(int(found[2]), holder.app) != holder.app:
            return json_answer(403, {"message": "Invalid app_id: the check run was made by another GitHub App."})
        if len(output.get("summary", "").encode()) > 65535:
            return json_answer(422, {"message": "Invalid request. Only 65535 characters are allowed; summary is too long."})
        if len(output.get("annotations", [])) > 50:
            return json_answer(422, {"message": "Invalid request. No more than 50 items are allowed in annotations."})
        return None

    def comment_refused(self, _found, _query, given, _holder):
        if len(given.get("body", "")) > 65536:
            return json_answer(422, {"message": "Validation Failed: body is too long (maximum is 65536 characters)"})
        return None

    def pull_as_issue(self, found, *_):
        """Every pull request is an issue too."""
        path = f"{self.base}/issues/{found[1]}"
        pull = None if self.people(path) else self.people(f"{self.base}/pulls/{found[1]}")
        if pull is None:
            return None
        names = ["number", "title", "body", "state", "user", "labels", "created_at", "updated_at", "html_url"]
        issue = {name: pull.get(name) for name in names}
        issue.update(url=f"{self.door.url}{path}", pull_request={"url": pull["url"], "html_url": pull["html_url"]})
        return json_answer(200, self.mend(issue, self.door.repository.refs()))

    def label(self, found, _query, given, _holder):
        """emulate labels issues alone."""
        there = self.labels.setdefault(int(found[2]), [])
        for name in given.get("labels", []) if found[1] == "POST" else []:
            if name not in [label["name"] for label in there]:
                there.append({"id": self.next(), "name": name, "color": "ededed"})
        return json_answer(200, there)

    def list_runs(self, _found, query, *_):
        return self.page("/actions/runs", list(reversed(self.runs.values())), query, "workflow_runs")

    def get_run(self, found, *_):
        run = self.runs.get(int(found[1]))
        return json_answer(200, run) if run else json_answer(404, {"message": "Not Found"})

    def cancel_run(self, found, *_):
        run = self.runs.get(int(found[1]))
        if not run:
            return json_answer(404, {"message": "Not Found"})
        if run["status"] == "completed":
            return json_answer(409, {"message": "Cannot cancel a workflow run that is completed."})
        run["status"], run["conclusion"] = "completed", "cancelled"
        return json_answer(202, {})

    def list_artifacts(self, found, query, *_):
        items = [one for one in reversed(self.artifacts.values()) if query.get("name") in (None, one["name"])]
        if found[1]:
            items = [one for one in items if one["workflow_run"]["id"] == int(found[1])]
        return self.page(f"/actions/{'runs/' + found[1] + '/' if found[1] else ''}artifacts", items, query, "artifacts")

    def get_artifact(self, found, *_):
        artifact = self.artifacts.get(int(found[1]))
        return json_answer(200, artifact) if artifact else json_answer(404, {"message": "Not Found"})

    def download(self, found, *_):
        artifact = self.artifacts.get(int(found[1]))
        if not artifact:
            return json_answer(404, {"message": "Not Found"})
        if artifact["expired"]:
            return json_answer(410, {"message": "Artifact has expired"})
        name = secrets.token_hex(8)
        self.archives[name] = self.archives[artifact["id"]]
        return 302, {"location": f"http://127.0.0.1:{self.door.storage.server_port}/{name}.zip?sig=once"}, b""

    def stored(self, path, headers):
        """The blob store, at another address; like the real one it refuses whoever shows GitHub's token."""
        if "authorization" in headers:
            return json_answer(403, {"message": "AuthenticationFailed: this is not GitHub"})
        archive = self.archives.get(path.strip("/").partition(".")[0])
        return (200, {"content-type": "application/zip"}, archive) if archive else json_answer(404, {"message": "gone"})

    def release(self, path):
        archive = self.releases.get(path.rpartition("/")[2])
        return (200, {"content-type": "application/gzip"}, archive) if archive else json_answer(404, {"message": "none"})

    # What goes to the emulator and comes from it

    def before(self, method, path, given, holder):
        if method in ("POST", "PATCH") and re.fullmatch(rf"{self.base}/check-runs(/\d+)?", path):
            given = {**given, "app_id": APPS[holder.app]}
            there = self.people(path) if method == "PATCH" else None
            if there and there["status"] == "completed" and given.get("status") != "completed":
                # What is over stays over.
                given.pop("status", None)
            if text := (given.get("output") or {}).get("text"):
                given["output"]["text"] = text.encode()[:65535].decode(errors="ignore")
        return given

    def after(self, method, path, given, holder, status, told):
        with self.door.lock:
            if status < 300 and isinstance(told, dict) and re.fullmatch(rf"{self.base}/check-runs(/\d+)?", path):
                self.apps.setdefault(told["id"], holder.app)
                if method != "GET":
                    new = (given.get("output") or {}).get("annotations", [])
                    self.annotations.setdefault(told["id"], []).extend(new)
            if status < 300 and path.startswith(f"{self.base}/git/refs") and method in ("POST", "PATCH"):
                self.door.repository.git("update-ref", told["ref"], told["object"]["sha"])
            return self.mend(told, self.door.repository.refs())

    def mend(self, value, refs):
        """Everything in an answer that emulate cannot know."""
        if isinstance(value, list):
            return [self.mend(one, refs) for one in value]
        if not isinstance(value, dict):
            return value
        value = {name: self.mend(one, refs) for name, one in value.items()}
        for name, one in value.items():
            if name.endswith("_at") and isinstance(one, str):
                value[name] = re.sub(r"\.\d+Z$", "Z", one)
        if value.get("login") in BOTS:
            value["id"], value["type"] = BOTS[value["login"]], "Bot"
        if "external_id" in value and "output" in value:
            self.mend_check(value)
        if isinstance(value.get("head"), dict) and isinstance(value.get("base"), dict) and value.get("state") == "open":
            for side in (value["head"], value["base"]):
                side["sha"] = refs.get(f"refs/heads/{side.get('ref')}", side.get("sha"))
        if isinstance(value.get("name"), str) and "protected" in value and "commit" in value:
            value["protected"] = value["name"] in self.protected
        if value.get("number") in self.labels and "labels" in value:
            value["labels"] = self.labels[value["number"]]
        for suffix, values in self.overrides:
            if str(value.get("url", "")).endswith(suffix):
                merge(value, values)
        return value

    def mend_check(self, value):
        slug = self.apps.get(value["id"], "github-actions")
        value["app"] = {"id": APPS[slug], "slug": slug, "name": slug}
        value["output"]["annotations_count"] = len(self.annotations.get(value["id"], []))
        if slug == "github-actions":
            # GitHub puts the job's address there, whatever was asked for.
            value["details_url"] = f"{self.door.url}/{self.repo}/actions/runs/1/job/{value['id']}"

    def moved(self, before, after, login):
        """Branches were pushed: records, and the emulator's own copy of them."""
        for ref in sorted(before.keys() | after.keys()):
            old, new = before.get(ref, ZERO), after.get(ref, ZERO)
            if old == new:
                continue
            kind = "branch_creation" if old == ZERO else "branch_deletion" if new == ZERO else "push"
            if kind == "push" and self.door.repository.git("rev-list", "-1", old, f"^{new}").strip():
                kind = "force_push"
            if ref.startswith("refs/heads/"):
                push = {"id": self.next(), "before": old, "after": new, "ref": ref, "activity_type": kind}
                at = time.time() - self.push_age
                # Which of two in one second is the newer nobody could tell; past ones were not made in one.
                if self.push_age > 0:
                    at = self.pushed_at = max(at, self.pushed_at + 1)
                self.pushes.append({**push, "timestamp": iso(at), "actor": self.account(login)})
            self.door.repository.replay(ref, new)
            if kind == "branch_deletion":
                self.close_pulls(ref)

    def close_pulls(self, ref):
        """GitHub closes what has no head any more."""
        for pull in self.people(f"{self.base}/pulls?per_page=100") or []:
            if f"refs/heads/{pull['head']['ref']}" == ref:
                headers = {"authorization": "Bearer ghp_maintainer", "content-type": "application/json"}
                path = f"{self.base}/pulls/{pull['number']}"
                self.door.ask(self.door.emulate, "PATCH", path, headers, b'{"state": "closed"}')

    # The harness's own door

    def control(self, path, given, body=None):
        answer = getattr(self, "test_" + path.removeprefix("/_test/").replace("/", "_"), None)
        if answer is None:
            return json_answer(404, {"message": f"the harness has no {path}"})
        with self.door.lock:
            told = answer(given, body) if body is not None else answer(given)
        return told if isinstance(told, tuple) else json_answer(200, told)

    def test_log(self, given):
        told = list(self.door.log)
        if given.get("clear"):
            self.door.log.clear()
        return told

    def test_faults(self, given):
        from front_door import Fault

        if given.get("clear"):
            self.door.faults.clear()
        else:
            self.door.faults.append(Fault(given))
        return {}

    def test_tokens(self, given):
        return {"token": self.door.mint(given.get("app", "github-actions"), given["permissions"])}

    def test_expire(self, given):
        del self.door.tokens[given["token"]]
        return {}

    def test_rights(self, given):
        role = given.get("role")
        self.rights[given["login"]] = rights_of(role) if role else given
        return {}

    def test_protect(self, given):
        (self.protected.add if given["protected"] else self.protected.discard)(given["branch"])
        return {}

    def test_push_age(self, given):
        self.push_age = given["seconds"]
        return {}

    def test_activity(self, given):
        """Changes the newest record of a branch, or adds one where `after` is given."""
        full = f"refs/heads/{given['branch']}"
        newest = next((push for push in reversed(self.pushes) if push["ref"] == full), None)
        if "after" in given:
            push = {"id": self.next(), "ref": full, "before": newest["after"] if newest else ZERO, "activity_type": "push"}
            self.pushes.append({**push, "timestamp": iso(time.time()), **{k: given[k] for k in given if k != "branch"}})
        else:
            merge(newest, {name: value for name, value in given.items() if name != "branch"})
        return self.pushes

    def test_move(self, given):
        """Moves a branch behind everybody's back; `age` in seconds."""
        before, self.push_age = self.door.repository.refs(), given.get("age", 0)
        self.door.repository.git("update-ref", f"refs/heads/{given['branch']}", given["commit"])
        self.moved(before, self.door.repository.refs(), given.get("login", "contributor"))
        return {}

    def test_runs(self, given):
        number = given["id"]
        mine = {"id": self.id(), "full_name": self.repo}
        url = f"{self.door.url}{self.base}/actions/runs/{number}"
        run = {
            "path": ".github/workflows/omk.yml", "event": "issue_comment", "status": "in_progress", "conclusion": None,
            "run_attempt": 1, "url": url, "html_url": f"{self.door.url}/{self.repo}/actions/runs/{number}",
            "repository": mine, "head_repository": mine, "head_branch": "main",
        }
        self.runs.setdefault(number, run).update(given)
        return self.runs[number]

    def test_artifacts(self, given, body=None):
        """Puts one, with a body; else gets one by name and run, as the artifact actions do."""
        name, run = given["name"], int(given["run"])
        there = [one for one in self.artifacts.values() if (one["name"], one["workflow_run"]["id"]) == (name, run)]
        if not body:
            if not there:
                return json_answer(404, {"message": f"no artifact {name} of run {run}"})
            return 200, {"content-type": "application/zip"}, self.archives[there[-1]["id"]]
        for old in there:
            del self.artifacts[old["id"]], self.archives[old["id"]]
        number, url = self.next(), f"{self.door.url}{self.base}/actions/artifacts"
        self.artifacts[number] = {
            "id": number, "name": name, "size_in_bytes": len(body), "expired": False, "url": f"{url}/{number}",
            "archive_download_url": f"{url}/{number}/zip", "created_at": iso(time.time()), "updated_at": iso(time.time()),
            "digest": "sha256:" + hashlib.sha256(body).hexdigest(),
            "workflow_run": {"id": run, "repository_id": self.id(), "head_repository_id": self.id(), "head_branch": "main"},
        }
        self.archives[number] = body
        return self.artifacts[number]

    def test_override(self, given):
        self.overrides.append((given["url"], given["merge"]))
        return {}

    def test_release(self, given, body=None):
        self.releases[given["name"]] = body
        return {}

    def test_state(self, _given):
        return {
            "reactions": self.reactions, "statuses": self.statuses, "runs": self.runs, "pushes": self.pushes,
            "artifacts": self.artifacts, "refs": self.door.repository.refs(), "annotations": self.annotations,
        }
