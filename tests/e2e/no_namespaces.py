#!/usr/bin/env python3
"""Starts a program where no namespaces can be made, as in a container: no_namespaces.py [--old] PROGRAM [ARGUMENT...]

A filter refuses `unshare`, and `clone` with a flag for namespaces, for the program and all that it starts; `clone3` is
unknown, as under Docker's own profile, or with `--old` not permitted, as before Docker 20.10.10. It refuses to run the
program where the filter cannot be put in force.
"""

import ctypes
import errno
import os
import platform
import struct
import sys

X86 = platform.machine() == "x86_64"
CLONE, UNSHARE, CLONE3 = (56, 272, 435) if X86 else (220, 97, 435)
# Mounts, cgroups, names of the machine, System V memory, users, processes, networks.
NAMESPACES = 0x7E020000
LOAD, EQUAL, ANY, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, FAIL = 0x7FFF0000, 0x00050000
NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2


def main():
    command = sys.argv[1:]
    old = command[0] == "--old"
    command = command[1:] if old else command
    steps = [
        (LOAD, 0, 0, 0),
        (EQUAL, 0, 1, CLONE3),
        (RETURN, 0, 0, FAIL | (errno.EPERM if old else errno.ENOSYS)),
        (EQUAL, 0, 1, UNSHARE),
        (RETURN, 0, 0, FAIL | errno.EPERM),
        (EQUAL, 0, 3, CLONE),
        (LOAD, 0, 0, 16),
        (ANY, 0, 1, NAMESPACES),
        (RETURN, 0, 0, FAIL | errno.EPERM),
        (RETURN, 0, 0, ALLOW),
    ]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    described = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(program)))
    system = ctypes.CDLL(None, use_errno=True)
    for call in ((NO_NEW_PRIVILEGES, 1, 0, 0, 0), (SECCOMP, FILTER, described, 0, 0)):
        if system.prctl(*call):
            sys.exit(f"no filter: {os.strerror(ctypes.get_errno())}")
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
