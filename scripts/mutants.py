"""Plants faults in omk, one at a time, and lists those that no test notices (mutation testing).

cargo-mutants lists the faults. Building omk once for each of several thousand would take days. This script builds a copy of
the source with all of them at once, each behind a switch (`fault::on(17)`), and runs tests with OMK_FAULT=17 to turn one on.
First it runs all tests without a fault and records which switches each test reaches. Then each fault is run against the
tests that reach its switch: unit tests first, then the others, those that reach the fewest switches first, until one test
fails or the time for this fault is over. A test that does not end counts as failed.

    python3 scripts/mutants.py                        # a sample of 300 faults of all rooms
    python3 scripts/mutants.py --count 0 --room engine --room src/store.rs --seconds 120

Prints a table by room and each fault that survived; `target/mutants/result.json` has all results. The exit status is 1 if
less than `--least` percent are noticed. `scripts/survivors.txt` lists faults that have no visible effect, with the reason;
they are not counted. Faults that do not compile next to the others (most would not compile alone either) are not tried.

A fault can make omk delete the wrong files. Run this in a virtual machine or as a user of its own.
"""

import argparse
import bisect
import collections
import concurrent.futures
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import tree_sitter
import tree_sitter_rust

ROOT = Path(__file__).resolve().parent.parent
# Where a run is decided and proved: pure rooms, and those that read what strangers wrote.
ROOMS = "engine fact scope glob plan trust command proof bundle gate journal gateway src/store.rs".split()

SWITCH = r"""//! Written by scripts/mutants.py: which planted fault is on, and which switches were passed.
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

struct Chosen {
    fault: usize,
    passed: Option<std::fs::File>,
}

static CHOSEN: OnceLock<Chosen> = OnceLock::new();
static PASSED: [AtomicBool; @COUNT@] = [const { AtomicBool::new(false) }; @COUNT@];

/// Whether the fault of this number is on.
pub fn on(fault: usize) -> bool {
    let chosen = CHOSEN.get_or_init(choose);
    if let Some(file) = &chosen.passed
        && !PASSED[fault].swap(true, Ordering::Relaxed)
    {
        let _ = file.write_at(b"1", fault as u64);
    }
    chosen.fault == fault
}

/// What the environment says; a child whose environment was cleaned asks its parents'.
fn choose() -> Chosen {
    let mut process = "self".to_owned();
    for _ in 0..30 {
        let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        let value = |name: &str| {
            let name = format!("{name}=");
            let found = environment.split(|byte| *byte == 0).find(|entry| entry.starts_with(name.as_bytes()))?;
            String::from_utf8(found[name.len()..].to_vec()).ok()
        };
        if let Some(fault) = value("OMK_FAULT") {
            let passed = value("OMK_FAULTS_PASSED").and_then(|path| std::fs::File::options().write(true).open(path).ok());
            return Chosen { fault: fault.parse().unwrap_or(usize::MAX), passed };
        }
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        match parent.map(str::trim) {
            Some(parent) if parent != "0" => process = parent.to_owned(),
            _ => break,
        }
    }
    Chosen { fault: usize::MAX, passed: None }
}
"""


def say(text):
    print(text, flush=True)


def copy_tree(place):
    """The tracked files, as they are now; what is equal is left alone, so that nothing is built again."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        source, target = ROOT / name, place / name
        if not source.exists() or (target.exists() and target.read_bytes() == source.read_bytes()):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    manifest = (ROOT / "Cargo.toml").read_text()
    if "\n[workspace]" not in manifest:
        manifest += "\n[workspace]\n"
    write(place / "Cargo.toml", manifest)
    (place / "target").mkdir(exist_ok=True)
    for tools in ("e2e-tools", "toolchain", "test-tools", "lint-tools"):
        if (ROOT / "target" / tools).exists() and not (place / "target" / tools).exists():
            shutil.copytree(ROOT / "target" / tools, place / "target" / tools, symlinks=True)


def write(path, text):
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def named_faults(rooms):
    command = ["cargo", "mutants", "--list", "--json", "--no-shuffle"]
    for room in rooms:
        command += ["-f", room if "/" in room else f"src/{room}/**"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if told.returncode:
        sys.exit(f"mutants: cargo-mutants could not list faults:\n{told.stderr}")
    faults = json.loads(told.stdout)
    # The order of their list is not promised.
    faults.sort(key=lambda fault: fault["name"])
    return faults


class Rewriter:
    """Builds all faults of one file into its text."""

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language()))

    def __init__(self, text, faults):
        self.source = text.encode()
        self.starts = [0]
        for line in self.source.split(b"\n"):
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.tree = self.parser.parse(self.source)
        # What a node of the tree becomes: (kind, node start) to its faults.
        self.at = collections.defaultdict(list)
        self.done = set()
        for number, fault in faults:
            start = self.offset(fault["span"]["start"])
            self.at[(fault["genre"], start)].append((number, fault))

    def offset(self, place):
        line = self.source[self.starts[place["line"] - 1] : self.starts[place["line"]]].decode()
        return self.starts[place["line"] - 1] + len(line[: place["column"] - 1].encode())

    def text(self, node):
        return self.source[node.start_byte : node.end_byte].decode()

    def rewrite(self):
        return self.emit(self.tree.root_node)

    def take(self, genre, start):
        found = self.at.get((genre, start), [])
        self.done.update(number for number, _ in found)
        return found

    def children(self, node, own=None):
        """The node's text with its children rewritten; `own` gives the text of some."""
        out, at = [], node.start_byte
        for child in node.children:
            out.append(self.source[at : child.start_byte].decode())
            out.append(own[child.id] if own and child.id in own else self.emit(child))
            at = child.end_byte
        out.append(self.source[at : node.end_byte].decode())
        return "".join(out)

    def emit(self, node):
        if not node.children or node.type in ("token_tree", "macro_definition", "attribute_item"):
            return self.text(node)
        if node.type == "function_item" and self.is_const(node):
            # It is computed while omk is built, where there are no switches.
            return self.text(node)
        way = getattr(self, f"emit_{node.type}", None)
        return way(node) if way else self.children(node)

    def is_const(self, function):
        modifiers = (child for child in function.children if child.type == "function_modifiers")
        return any("const" in self.text(child).split() for child in modifiers)

    def emit_block(self, node):
        inner = self.children(node)
        returned = node.parent.child_by_field_name("return_type")
        # What is returned as `impl Trait` has one type, and the fault's is another.
        if node.parent.type != "function_item" or (returned and "impl " in self.text(returned)):
            return inner
        body = [child for child in node.named_children if child.type not in ("line_comment", "block_comment")]
        found = self.take("FnValue", body[0].start_byte) if body else []
        returns = "".join(
            f"if {switch(number)} {{ return {mark(number, fault['replacement'])}; }} " for number, fault in found
        )
        return "{ " + returns + inner[1:] if returns else inner

    def operator(self, node):
        return node.child_by_field_name("operator")

    def emit_binary_expression(self, node):
        left, sign, right = (node.child_by_field_name(name) for name in ("left", "operator", "right"))
        found = self.take("BinaryOperator", sign.start_byte)
        if not found:
            return self.children(node)
        a, b, sign = self.emit(left), self.emit(right), self.text(sign)
        numbers = [number for number, _ in found]
        if sign in ("&&", "||"):
            # The right side is looked at when the left one does not settle it; a fault turns round what settles.
            turn = "!=" if sign == "&&" else "=="
            return wrap(numbers, f"(match {a} {{ left => if left {turn} {switch(numbers[0])} {{ {b} }} else {{ left }} }})")
        by_place = sign in ("==", "!=", "<", ">", "<=", ">=")
        l, r = ("*left", "*right") if by_place else ("left", "right")
        arms = "".join(otherwise(number, l, fault, r) for number, fault in found)
        sides = f"(&({a}), &({b}))" if by_place else f"({a}, {b})"
        return wrap(numbers, f"(match {sides} {{ (left, right) => {arms} {{ {l} {sign} {r} }} }})")

    def emit_compound_assignment_expr(self, node):
        left, sign, right = (node.child_by_field_name(name) for name in ("left", "operator", "right"))
        found = self.take("BinaryOperator", sign.start_byte)
        if not found:
            return self.children(node)
        a, b = self.emit(left), self.emit(right)
        arms = "".join(otherwise(number, self.text(left), fault, self.text(right)) for number, fault in found)
        return wrap([number for number, _ in found], f"{{ {arms} {{ {a} {self.text(sign)} {b} }} }}")

    def emit_unary_expression(self, node):
        sign = node.children[0]
        found = self.take("UnaryOperator", sign.start_byte)
        if not found:
            return self.children(node)
        number, inner = found[0][0], self.emit(node.children[-1])
        return wrap([number], f"(match {inner} {{ inner => if {switch(number)} {{ inner }} else {{ {self.text(sign)}inner }} }})")

    def emit_match_arm(self, node):
        pattern = node.child_by_field_name("pattern")
        guard = pattern.child_by_field_name("condition")
        gone = self.take("MatchArm", node.start_byte)
        fixed = self.take("MatchArmGuard", guard.start_byte) if guard else []
        if not gone and not fixed:
            return self.children(node)
        condition = f"({self.emit(guard)})" if guard else "true"
        if guard and guard.type in ("let_chain", "let_condition"):
            self.done.difference_update(number for number, _ in gone + fixed)
            return self.children(node)
        for number, fault in fixed:
            condition = f"({switch(number)} || {condition})" if fault["replacement"] == "true" else f"(!{switch(number)} && {condition})"
        for number, _ in gone:
            condition = f"(!{switch(number)} && {condition})"
        shape = pattern.children[0]
        own = {pattern.id: f"{self.text(shape)} if {wrap([number for number, _ in gone + fixed], condition)}"}
        if guard is None and len(pattern.children) > 1:
            own = {pattern.id: f"{self.text(pattern)} if {wrap([number for number, _ in gone + fixed], condition)}"}
        return self.children(node, own)

    def emit_field(self, node):
        found = self.take("StructField", node.start_byte)
        if not found:
            return self.children(node) if node.children else self.text(node)
        base = next((one for one in node.parent.children if one.type == "base_field_initializer"), None)
        if base is None:
            self.done.difference_update(number for number, _ in found)
            return self.children(node)
        name = self.text(node.child_by_field_name("field") or node.children[0])
        value = node.child_by_field_name("value")
        number = found[0][0]
        value = self.emit(value) if value else name
        other = mark(number, f"({self.text(base.children[-1])}).{name}")
        return wrap([number], f"{name}: if {switch(number)} {{ {other} }} else {{ {value} }}")

    emit_field_initializer = emit_field
    emit_shorthand_field_initializer = emit_field


def switch(number):
    return f"crate::fault::on({number})"


def otherwise(number, left, fault, right):
    return f"if {switch(number)} {{ {mark(number, ' '.join((left, fault['replacement'], right)))} }} else "


def mark(number, text):
    return f"/*<{number}*/{text}/*>{number}*/"


def wrap(numbers, text):
    names = ",".join(map(str, numbers))
    return f"/*[{names}*/{text}/*]{names}*/"


def regions(text):
    """The innermost region of each place of a rewritten text: (start, end, numbers), by size."""
    import re

    found, open_ = [], []
    for hit in re.finditer(rb"/\*([<\[>\]])([\d,]+)\*/", text):
        sign, names = hit[1], hit[2]
        if sign in (b"<", b"["):
            open_.append((hit.start(), names))
        else:
            start, _ = open_.pop()
            found.append((start, hit.end(), [int(number) for number in names.split(b",")]))
    return sorted(found, key=lambda region: region[1] - region[0])


def build_in(place, faults, left_out):
    """Writes the copy's files with all faults but those left out. Faults that have no switch are returned."""
    by_file = collections.defaultdict(list)
    for number, fault in enumerate(faults):
        by_file[fault["file"]].append((number, fault))
    homeless = set()
    for name, own in sorted(by_file.items()):
        here = [(number, fault) for number, fault in own if number not in left_out]
        rewriter = Rewriter((ROOT / name).read_text(), here)
        write(place / name, rewriter.rewrite())
        homeless.update({number for number, _ in here} - rewriter.done)
    write(place / "src/fault.rs", SWITCH.replace("@COUNT@", str(len(faults))))
    library = (ROOT / "src/lib.rs").read_text()
    write(place / "src/lib.rs", library.replace("\npub mod ", "\npub mod fault;\npub mod ", 1))
    return homeless


def cargo(place, *arguments):
    env = dict(os.environ, RUSTFLAGS="--cap-lints=allow", CARGO_TARGET_DIR=str(place / "target"), CARGO_INCREMENTAL="1")
    for name in ("CARGO_BUILD_TARGET_DIR",):
        env.pop(name, None)
    return subprocess.run(["cargo", *arguments], cwd=place, env=env, capture_output=True, text=True)


def leave_out_what_does_not_compile(place, faults):
    left_out = set()
    for turn in range(1, 40):
        homeless = build_in(place, faults, left_out)
        left_out |= homeless
        told = cargo(place, "check", "--locked", "--lib", "--message-format=json")
        if told.returncode == 0:
            return left_out
        bad = set()
        unknown = []
        for line in told.stdout.splitlines():
            message = json.loads(line)
            if message.get("reason") != "compiler-message" or message["message"]["level"] != "error":
                continue
            spans = message["message"]["spans"]
            spans.sort(key=lambda span: not span["is_primary"])
            hit = None
            for span in spans:
                path = place / span["file_name"]
                if not path.is_file():
                    continue
                inner = [r for r in regions(path.read_bytes()) if r[0] <= span["byte_start"] and span["byte_end"] <= r[1]]
                if inner:
                    hit = inner[0][2]
                    break
            if hit:
                bad.update(hit)
            elif spans:
                unknown.append(message["message"]["rendered"])
        say(f"mutants: build {turn}: {len(bad)} faults do not compile beside the others")
        if not bad:
            sys.exit("mutants: the copy does not compile:\n" + "\n".join(unknown[:5]) + told.stderr[-2000:])
        left_out |= bad
    sys.exit("mutants: the copy does not compile after 40 attempts")


def test_binaries(place):
    told = cargo(place, "test", "--locked", "--lib", "--test", "it", "--no-run", "--message-format=json")
    found = {}
    for line in told.stdout.splitlines():
        message = json.loads(line) if line.startswith("{") else {}
        if message.get("reason") == "compiler-artifact" and message.get("executable") and message["profile"]["test"]:
            found[message["target"]["name"]] = message["executable"]
    if told.returncode or len(found) != 2:
        sys.exit("mutants: the tests do not build:\n" + told.stderr[-4000:])
    return found["omk_action"], found["it"]


def names_of_tests(binary):
    told = subprocess.run([binary, "--list", "--format=terse"], capture_output=True, text=True, check=True).stdout
    return [line.rsplit(": ", 1)[0] for line in told.splitlines() if line.endswith(": test")]


class Session(subprocess.Popen):
    """A test and all that it started."""

    def kill_all(self):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


class Runner:
    def __init__(self, place):
        self.place = place
        self.unit, self.whole = test_binaries(place)
        self.notes = place / "target/passed"
        self.lock = threading.Lock()
        self.running = set()
        # A fault may never end, and its test is in a session of its own.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.stop)

    def stop(self, number, _frame):
        for process in list(self.running):
            process.kill_all()
        os._exit(128 + number)

    def run(self, binary, tests, fault, seconds, passed=None):
        """Whether the tests passed; None when they did not end in time."""
        env = dict(os.environ, OMK_FAULT=str(fault), CARGO_MANIFEST_DIR=str(self.place), INSTA_UPDATE="no")
        env["PROPTEST_FAILURE_PERSISTENCE"] = "off"
        if passed:
            env["OMK_FAULTS_PASSED"] = str(passed)
        command = [binary, "--exact", "--test-threads=1", *tests]
        with Session(
            command, cwd=self.place, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        ) as process:
            self.running.add(process)
            try:
                return process.wait(timeout=seconds) == 0
            except subprocess.TimeoutExpired:
                process.kill_all()
                process.wait()
                return None
            finally:
                self.running.discard(process)

    def baseline(self, jobs, left_out_tests):
        """Each test alone, without a fault: how long it takes, and which switches it passes."""
        shutil.rmtree(self.notes, ignore_errors=True)
        self.notes.mkdir(parents=True)
        todo = [(self.unit, name) for name in names_of_tests(self.unit)]
        todo += [(self.whole, name) for name in names_of_tests(self.whole) if not name.startswith(tuple(left_out_tests))]
        found, failed = [], []

        def one(item):
            index, (binary, name) = item
            notes = self.notes / str(index)
            notes.touch()
            start = time.monotonic()
            ended = self.run(binary, [name], -1, 120, notes)
            took = time.monotonic() - start
            passed = frozenset(i for i, byte in enumerate(notes.read_bytes()) if byte == ord("1"))
            notes.unlink()
            with self.lock:
                if ended and passed:
                    found.append({"unit": binary == self.unit, "name": name, "seconds": took, "passed": passed})
                elif not ended:
                    failed.append(item)

        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            list(pool.map(one, enumerate(todo)))
        # Once more, alone: some have a hard time beside others.
        again, failed = failed, []
        for item in again:
            one(item)
        for _, (_, name) in failed:
            say(f"mutants: {name} fails without a fault, and is left out")
        return found

    def try_fault(self, number, tests, budget):
        """The test that noticed, or None."""
        units = [test for test in tests if test["unit"]]
        if units:
            allowed = 20 + 10 * sum(test["seconds"] for test in units)
            if not self.run(self.unit, [test["name"] for test in units], number, allowed):
                return "unit tests"
        spent = 0.0
        for test in tests:
            if test["unit"]:
                continue
            if spent + test["seconds"] > budget:
                continue
            start = time.monotonic()
            ended = self.run(self.whole, [test["name"]], number, 20 + 10 * test["seconds"])
            spent += time.monotonic() - start
            # A test that fails now and then is no witness: it has to fail again.
            if not ended and not self.run(self.whole, [test["name"]], number, 20 + 10 * test["seconds"]):
                return test["name"]
        return None


def known_survivors():
    path = ROOT / "scripts/survivors.txt"
    known = {}
    if path.exists():
        for line in path.read_text().splitlines():
            if line and not line.startswith("#"):
                name, _, reason = line.partition("  # ")
                known[name] = reason
    return known


def plain(fault):
    """Its name without line and column, which move with every change."""
    file, _, rest = fault["name"].partition(":")
    return f"{file}: {rest.split(': ', 1)[1]}"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--room", action="append", help="a folder of src, or a file")
    arguments.add_argument("--count", type=int, default=300, help="how many faults are tried; 0: all")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--seconds", type=float, default=30, help="of tests that are not unit tests, for one fault")
    arguments.add_argument("--least", type=float, default=95, help="percent that have to be noticed")
    arguments.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments.add_argument("--place", type=Path, default=ROOT / "target/mutants")
    arguments.add_argument("--only", help="only faults whose name has this text")
    arguments.add_argument("--survivors", type=Path, help="only faults that survived by this result.json")
    arguments.add_argument("--again", action="store_true", help="use the build and the notes of the last time")
    options = arguments.parse_args()
    place = options.place.resolve()
    place.mkdir(parents=True, exist_ok=True)

    saved = place / "noted.json"
    if options.again and saved.exists():
        noted = json.loads(saved.read_text())
        faults, left_out = noted["faults"], set(noted["left_out"])
        runner = Runner(place)
        tests = [dict(test, passed=frozenset(test["passed"])) for test in noted["tests"]]
    else:
        faults = named_faults(options.room or ROOMS)
        say(f"mutants: {len(faults)} faults; they are built in together")
        copy_tree(place)
        left_out = leave_out_what_does_not_compile(place, faults)
        runner = Runner(place)
        say(f"mutants: {len(left_out)} faults cannot be built beside the others; now each test without a fault")
        # They look at the repository's own texts, or need tools and minutes.
        tests = runner.baseline(options.jobs, ["tidy::", "e2e", "escape::", "ci_act", "forge_act", "examples::"])
        saved.write_text(json.dumps({
            "faults": faults, "left_out": sorted(left_out),
            "tests": [dict(test, passed=sorted(test["passed"])) for test in tests],
        }))
        say(f"mutants: {len(tests)} tests pass a switch, {sum(test['seconds'] for test in tests):.0f} s of them")

    known = known_survivors()
    rooms = tuple(room if "/" in room else f"src/{room}/" for room in options.room or ROOMS)
    chosen = [
        number for number, fault in enumerate(faults)
        if number not in left_out and plain(fault) not in known and fault["file"].startswith(rooms)
        and (not options.only or options.only in fault["name"])
    ]
    if options.survivors:
        earlier = {one["name"] for one in json.loads(options.survivors.read_text()) if one["noticed"] is None}
        chosen = [number for number in chosen if faults[number]["name"] in earlier]
    random.Random(options.seed).shuffle(chosen)
    if options.count:
        chosen = chosen[: options.count]
    by_fault = collections.defaultdict(list)
    for test in sorted(tests, key=lambda test: len(test["passed"]) * max(test["seconds"], 0.05)):
        for number in test["passed"]:
            by_fault[number].append(test)

    result = {}

    def one(number):
        noticed = runner.try_fault(number, by_fault[number], options.seconds)
        result[number] = noticed
        if noticed is None:
            how = "no test passes it" if not by_fault[number] else f"{len(by_fault[number])} tests pass it"
            say(f"survived: {faults[number]['name']} ({how})")
        if len(result) % 100 == 0:
            say(f"mutants: {len(result)} of {len(chosen)} tried")

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(one, chosen))

    table = collections.defaultdict(lambda: [0, 0])
    for number, noticed in result.items():
        room = faults[number]["file"].removeprefix("src/").split("/")[0]
        table[room][0] += noticed is not None
        table[room][1] += 1
    (place / "result.json").write_text(json.dumps(
        [{"name": faults[n]["name"], "plain": plain(faults[n]), "noticed": result[n], "tests": len(by_fault[n])} for n in sorted(result)], indent=1
    ))
    for room, (noticed, tried) in sorted(table.items()):
        say(f"{room:12} {noticed:5} of {tried:5}  {100 * noticed / tried:5.1f} %")
    noticed, tried = sum(n for n, _ in table.values()), sum(t for _, t in table.values())
    percent = 100 * noticed / max(tried, 1)
    say(f"{'together':12} {noticed:5} of {tried:5}  {percent:5.1f} %")
    sys.exit(percent < options.least)


if __name__ == "__main__":
    main()
