#!/usr/bin/env python3
"""Packs omk for a release: package.py BINARY VERSION TARGET DIRECTORY, and prints the archive's SHA-256.

The same bytes make the same archive on every machine and at any time, so that a second build can be compared.
"""

import gzip
import hashlib
import io
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main():
    binary, version, target, directory = sys.argv[1:]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, path, mode in [
            ("LICENSE-APACHE", ROOT / "LICENSE-APACHE", 0o644),
            ("LICENSE-MIT", ROOT / "LICENSE-MIT", 0o644),
            ("omk", Path(binary), 0o755),
        ]:
            content = path.read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    to = Path(directory) / f"omk-{version}-{target}.tar.gz"
    to.write_bytes(gzip.compress(packed.getvalue(), mtime=0))
    print(hashlib.sha256(to.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
