#!/usr/bin/env python3
"""Starts a program on a kernel without Landlock, whatever this one has: no_landlock.py PROGRAM [ARGUMENT...]

A filter answers landlock_create_ruleset with "no such call", for the program and all that it starts. It refuses to run
the program where the filter cannot be put in force.
"""

import ctypes
import errno
import os
import struct
import sys

# The call has one number on every architecture.
CALL = 444
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, FAIL = 0x7FFF0000, 0x00050000 | errno.ENOSYS
NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2


def main():
    steps = [(LOAD, 0, 0, 0), (EQUAL, 0, 1, CALL), (RETURN, 0, 0, FAIL), (RETURN, 0, 0, ALLOW)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    described = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(program)))
    system = ctypes.CDLL(None, use_errno=True)
    for call in ((NO_NEW_PRIVILEGES, 1, 0, 0, 0), (SECCOMP, FILTER, described, 0, 0)):
        if system.prctl(*call):
            sys.exit(f"no filter: {os.strerror(ctypes.get_errno())}")
    os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
