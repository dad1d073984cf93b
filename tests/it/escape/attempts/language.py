"""Attempts to get out of a room: the language.

Each attempt is a function. It does something to the world outside, prints something that only the outside knows, or
returns what the kernel answered. Whoever started it looks from outside at what became of it. An attempt that raises was
held. An attempt that this machine cannot make raises NotHere.

    python3 attempts.py list          names, kinds and marks of all attempts
    python3 attempts.py run MACHINE   makes all of them, one line for each
    python3 attempts.py stage MARK MACHINE   looks for what earlier children left, and leaves that mark
"""

import array, ctypes, errno, fcntl, glob, json, mmap, os, platform, select, shutil, signal, socket, stat, struct
import subprocess, sys, time

M = {}
ATTEMPTS = []
CHAINS = {}
LIBC = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"
# What a wall answers. Everything else means that the kernel began to do it.
WALLS = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EROFS)


class NotHere(Exception):
    """This machine does not have what the attempt is about."""


def attempt(kind, open_to="all"):
    """An attempt whose effect is seen from outside. `open_to`: who succeeds without a room: all, root, or `some`, which
    depends on the machine."""

    def register(function):
        ATTEMPTS.append((function.__name__, kind, "effect", open_to, function))
        return function

    return register


def answer(kind, open_to="all"):
    """An attempt that is proven by what it returns."""

    def register(function):
        ATTEMPTS.append((function.__name__, kind, "answer", open_to, function))
        return function

    return register


def _shepherd():
    """The first process above this one that is omk: in a sealed room the first process of all."""
    pid = os.getpid()
    while pid > 1:
        with open(f"/proc/{pid}/stat") as file:
            name, rest = file.read().rsplit(")", 1)
        if name.endswith("(omk"):
            return pid
        pid = int(rest.split()[1])
    return 1


def chain(find):
    """A way from one child to a later one. `find(None)` raises unless an earlier child left something, and returns it;
    `find(mark)` leaves that mark."""
    CHAINS[find.__name__] = find
    return find


def kept_in(path, mark):
    """The way by a file: leaves the mark in it, or returns the one that is there."""
    if mark is None:
        with open(path) as file:
            return file.read()
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write(path, mark)


def own(file="canary"):
    """A file outside that is this attempt's alone."""
    return os.path.join(M["outside"], M["name"], file)


def victim():
    """A process outside that is this attempt's alone. In a room its number may be somebody else's, or nobody's."""
    return M["victims"][M["name"]]


def read(path, size=1 << 16):
    with open(path, "rb") as file:
        print(file.read(size))


def write(path, text="dead"):
    with open(path, "w") as file:
        file.write(text)


def call(x86, arm, *args):
    """A call by its numbers on the two architectures. Raises what the kernel answered."""
    number = x86 if X86 else arm
    if number is None:
        raise NotHere("another architecture")
    args = [ctypes.c_long(each) if isinstance(each, int) else each for each in args]
    result = LIBC.syscall(ctypes.c_long(number), *args)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def begun(x86, arm, *args):
    """The same, for a call with arguments that make no sense: how far does the kernel go?"""
    try:
        call(x86, arm, *args)
    except OSError as refused:
        if refused.errno in WALLS:
            raise
        return f"began: {refused}"
    return "did it"


def sh(command, **more):
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=10, **more)
    print(done.stdout, done.stderr)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def _one(function, limit=8):
    """Makes one attempt in a process of its own. Whatever it does to itself is gone with it."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(limit)
        os.setsid()
        for number in (1, 2, into):
            if number != into:
                os.dup2(into, number)
        said = "held"
        try:
            result = function()
            said = f"got {result}"
        except NotHere as reason:
            said = f"not-here {reason}"
        except BaseException as reason:
            said = f"held {type(reason).__name__}: {reason}"
        try:
            sys.stdout.flush()
            os.write(into, ("\0" + said).encode(errors="replace"))
        finally:
            os._exit(0)
    os.close(into)
    text, until = b"", time.monotonic() + limit + 2
    while time.monotonic() < until and select.select([out], [], [], max(0, until - time.monotonic()))[0]:
        part = os.read(out, 1 << 16)
        if not part:
            break
        text += part[: (1 << 20) - len(text)]
        if b"\0got" in text or b"\0held" in text or b"\0not-here" in text:
            break
    os.close(out)
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        pass
    _, status = os.waitpid(pid, 0)
    printed, _, said = text.decode(errors="replace").rpartition("\0")
    if not said:
        printed, said = text.decode(errors="replace"), f"held by signal {status & 127}"
    return printed, said


def _line(name, printed, said):
    # One line, whatever was printed.
    print(json.dumps({"name": name, "said": said, "printed": printed[-4096:]}), flush=True)


def main():
    if sys.argv[1] == "list":
        for name, kind, proof, open_to, _ in ATTEMPTS:
            print(name, proof, open_to, kind)
    elif sys.argv[1] == "chains":
        print("\n".join(CHAINS))
    elif sys.argv[1] == "run":
        with open(sys.argv[2]) as file:
            M.update(json.load(file))
        # Whoever wants to tidy up afterwards makes the attempts in a directory below the slot.
        slot = os.getcwd().removesuffix("/yard")
        M.update(first=_shepherd(), slot=slot, child_home=os.environ["HOME"])
        only = sys.argv[3:]
        for name, _, _, _, function in ATTEMPTS:
            if not only or name in only:
                M["name"] = name
                _line(name, *_one(function))
    elif sys.argv[1] == "stage":
        with open(sys.argv[3]) as file:
            M.update(json.load(file))
        for name, find in CHAINS.items():
            M["name"] = name
            printed, said = _one(lambda: find(None))
            _line(name, printed, said)
        for name, find in reversed(CHAINS.items()):
            M["name"] = name
            _one(lambda: find(sys.argv[2]))
