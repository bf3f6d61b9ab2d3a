"""Make scanner.wasm of scanner.c: ``python -m tests.stages.scanner.build``, with the extra ``scanner-build``.

The same source and the same ziglang give the same bytes, on any system; test_build.py makes them anew and compares.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from callcost.stages.columnar.scanner.machine import BLOB

SOURCE = BLOB.with_name("scanner.c")
_EXPORTED = ("prepare", "scan", "pack", "__heap_base")
_OPTIONS = (
    "-std=gnu11", "-O3", "-Wall", "-Wextra", "-Werror",
    "-target", "wasm32-freestanding", "-mcpu=generic+simd128+bulk_memory", "-nostdlib",
    "-Wl,--no-entry", *(f"-Wl,--export={name}" for name in _EXPORTED), "-Wl,--strip-all", "-Wl,-z,stack-size=65536",
)  # fmt: skip


def build(path: Path) -> Path:
    """Compile the scanner into a file.

    Raises:
        CalledProcessError: it does not compile.
    """
    command = [sys.executable, "-m", "ziglang", "cc", *_OPTIONS, "-o", str(path), SOURCE.name]
    subprocess.run(command, cwd=SOURCE.parent, check=True)
    return path


if __name__ == "__main__":
    build(BLOB)
