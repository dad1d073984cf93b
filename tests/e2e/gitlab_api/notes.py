"""Notes and the reactions to them: doc/api/notes.md, emoji_reactions.md."""

import re

from .declare import GUEST, MAINTAINER, REPORTER, Refusal, boolean, endpoint, forbidden, message, not_found, one_of, string
from .world import iso

# A few of doc/user/project/quick_actions.md: lines that GitLab carries out and takes away.
QUICK = re.compile(r"^/(approve|assign|close|draft|label|merge|milestone|ready|reopen|title|unlabel|cc|due|lock)\b")
NOTEABLES = {"merge_requests": ("MergeRequest", REPORTER), "issues": ("Issue", GUEST)}
ORDER = {
    "sort": one_of("asc", "desc", default="desc"), "order_by": one_of("created_at", "updated_at", default="created_at"),
    "activity_filter": one_of("all_notes", "only_comments", "only_activity", default="all_notes"),
}
NEW = {
    "body": string(True, most=1_000_000), "internal": boolean(), "confidential": boolean(), "created_at": string(),
    "merge_request_diff_head_sha": string(),
}
# Those of the pinned emoji that omk has a use for, and the usual ones.
EMOJI = {"eyes", "rocket", "confused", "thumbsup", "thumbsdown", "heart", "tada", "white_check_mark", "x", "smile"}


def noteable(call):
    """The merge request or issue of the request's path."""
    there = call.project.requests if "/merge_requests/" in call.path else call.project.issues
    if call.at["iid"] not in there:
        raise not_found()
    return there[call.at["iid"]]


def note_at(call):
    for note in noteable(call)["notes"]:
        if note["id"] == call.at["note_id"]:
            return note
    raise not_found()


def spoken(body):
    """The body without the lines that GitLab would carry out; those it names too."""
    kept, done, fenced = [], [], False
    for line in body.split("\n"):
        fenced ^= line.lstrip().startswith("```")
        (done if not fenced and QUICK.match(line) else kept).append(line)
    return "\n".join(kept), done


def listed(call):
    """Notes, the newest first unless asked otherwise: doc/api/notes.md."""
    wanted = {"all_notes": (True, False), "only_comments": (False,), "only_activity": (True,)}[call.given["activity_filter"]]
    found = [note for note in noteable(call)["notes"] if note["system"] in wanted]
    key = call.given["order_by"]
    found.sort(key=lambda note: (note[key], note["id"]), reverse=call.given["sort"] == "desc")
    return [call.world.view("note", note) for note in found]


def one(call):
    """A single note: doc/api/notes.md."""
    return call.world.view("note", note_at(call))


def created(call):
    """Writes a note: doc/api/notes.md."""
    body, quick = spoken(call.given["body"])
    if quick:
        call.violate(f"quick actions of GitLab's are in a note: {quick}")
    if not body.strip():
        if quick:
            return 202, {}, {"commands_changes": {}, "summary": ["Applied a quick action."]}
        raise message(400, '400 Bad request - Note {:note=>["can\'t be blank"]}')
    kind = NOTEABLES[call.path.split("/")[3]][0]
    internal = call.given.get("internal", call.given.get("confidential", False))
    return call.world.view("note", call.world.add_note(call.project, noteable(call), kind, call.user, body, internal=internal))


def changed(call):
    """Changes a note: doc/api/notes.md."""
    note = note_at(call)
    if note["author"] != call.user["id"] and call.level < MAINTAINER or note["system"]:
        raise forbidden()
    edit(call.world, note, call.given["body"], call.user)
    return call.world.view("note", note)


def edit(world, note, body, user):
    """What editing does to a note."""
    if body != note["body"]:
        note.update(body=body, updated_at=iso(world.now()), edited_at=iso(world.now()), edited_by=user["id"])


def deleted(call):
    """Deletes a note: doc/api/notes.md."""
    note = note_at(call)
    if note["author"] != call.user["id"] and call.level < MAINTAINER:
        raise forbidden()
    noteable(call)["notes"].remove(note)


def awards(call):
    """Reactions to a note: doc/api/emoji_reactions.md."""
    return [call.world.view("award", award) for award in note_at(call)["awards"]]


def awarded(call):
    """Reacts to a note: doc/api/emoji_reactions.md; the note's own time moves with it."""
    note, name = note_at(call), call.given["name"]
    if note["system"]:
        raise not_found("Award Emoji")
    if name not in EMOJI:
        raise Refusal(404, {"message": '404 Award Emoji {:name=>["is not a valid emoji name"]} Not Found'}, f"no emoji {name}")
    return call.world.view("award", give(call.world, note, name, call.user))


def give(world, note, name, user):
    """A reaction; the same one twice is refused."""
    if any((award["user"], award["name"]) == (user["id"], name) for award in note["awards"]):
        raise Refusal(404, {"message": '404 Award Emoji {:name=>["has already been taken"]} Not Found'})
    now = iso(world.now())
    award = {
        "id": world.next("award", 901), "name": name, "user": user["id"], "created_at": now, "updated_at": now,
        "awardable_id": note["id"], "awardable_type": "Note",
    }
    note["awards"].append(award)
    note["updated_at"] = iso(world.now())
    return award


def unawarded(call):
    """Takes a reaction back: doc/api/emoji_reactions.md."""
    note = note_at(call)
    for award in note["awards"]:
        if award["id"] == call.at["award_id"]:
            if award["user"] != call.user["id"]:
                raise message(401, "401 Unauthorized")
            note["awards"].remove(award)
            note["updated_at"] = iso(call.world.now())
            return
    raise not_found()


for kind, (_, least) in NOTEABLES.items():
    base = f"/projects/:id/{kind}/:iid/notes"
    endpoint("GET", base, level=least, paged=True, params=ORDER)(listed)
    endpoint("GET", f"{base}/:note_id", level=least)(one)
    endpoint("POST", base, level=least, params=NEW)(created)
    body_only = {"body": string(True, blank=False, most=1_000_000), "confidential": boolean()}
    endpoint("PUT", f"{base}/:note_id", level=least, params=body_only)(changed)
    endpoint("DELETE", f"{base}/:note_id", scope="api", level=least, status=204)(deleted)
    endpoint("GET", f"{base}/:note_id/award_emoji", level=least, paged=True)(awards)
    endpoint("POST", f"{base}/:note_id/award_emoji", level=least, params={"name": string(True)})(awarded)
    endpoint("DELETE", f"{base}/:note_id/award_emoji/:award_id", scope="api", level=least, status=204)(unawarded)
