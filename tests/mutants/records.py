"""What each file of tests runs, kept in a folder until the code or that file changes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.mutants.reached import FileRecord
from tests.mutants.trials import Copies, record_tests


def load_records(copies: Copies, files: Iterable[str], workers: int, kept: Path | None) -> dict[str, FileRecord]:
    """Return what files of tests run, by file: as kept, where nothing has changed since, or by running them.

    Args:
        copies: of the project, as many as workers.
        files: paths of tests, from the top of the project.
        workers: files that run at a time.
        kept: folder with what is kept; None to keep nothing.
    """
    digests = {file: _digest(copies.root, file) for file in dict.fromkeys(files)}
    places = {file: kept / f"{file.replace('/', '-')}.json" for file in digests} if kept else {}
    known = {file: json.loads(place.read_bytes()) for file, place in places.items() if place.exists()}
    found = {file: _record_of(words) for file, words in known.items() if words["digest"] == digests[file]}
    for file, record in record_tests(copies, [file for file in digests if file not in found], workers=workers):
        found[file] = record
        if kept:
            kept.mkdir(parents=True, exist_ok=True)
            places[file].write_text(json.dumps({"digest": digests[file], **dataclasses.asdict(record)}))
    return found


def _record_of(words: dict[str, Any]) -> FileRecord:
    lines = {module: {int(line): tests for line, tests in of.items()} for module, of in words["lines"].items()}
    return FileRecord(words["seconds"], lines, words["alone"])


def _digest(root: Path, file: str) -> str:
    """Return a digest of a file of tests and of all that it may rest on: the package and what is shared by tests."""
    ours = root / "tests/mutants"
    shared = [path for path in root.glob("tests/**/*.py") if not path.name.startswith("test_") and path.parent != ours]
    paths = sorted([*(root / "pipeline").rglob("*.py"), *shared, root / file])
    parts = (f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes() for path in paths)
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
