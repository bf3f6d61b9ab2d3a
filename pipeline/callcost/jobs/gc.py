"""`callcost gc`: remove what runs left in a --work-dir and nobody reads any more."""

from __future__ import annotations

import dataclasses
import shutil

from callcost.errors import RunError
from callcost.logs.io.folders import Folder, folder_at
from callcost.runners.exactly_once import RUN_PREFIX, find_garbage


@dataclasses.dataclass(frozen=True, slots=True)
class Garbage:
    """What was found, and removed unless only asked for."""

    files: tuple[str, ...]
    bytes: int


def collect_garbage(place: str, *, older_hours: float, unfinished: bool = False, dry_run: bool = False) -> Garbage:
    """Remove what attempts that do not count left, and all files of runs that were published.

    Args:
        place: the --work-dir.
        older_hours: what is younger stays, since a run may be at it.
        unfinished: also remove what runs that were not published would go on from.
        dry_run: only say what it would be.

    Raises:
        RunError: the place is not there, or something cannot be removed.
        LogError: the store refuses or cannot be reached.
    """
    folder = folder_at(place)
    if folder.path is not None and not folder.path.is_dir():
        raise RunError(f"there is no folder {folder.place}")
    found = find_garbage(folder, older=older_hours * 3600, unfinished=unfinished)
    try:
        if not dry_run:
            folder.remove(found)
            _remove_empty_runs(folder)
    except OSError as error:
        raise RunError(f"cannot remove {error.filename}: {error.strerror}", hint="Check its permissions") from error
    return Garbage(tuple(f"{folder.place}/{name}" for name in found), sum(file.bytes for file in found.values()))


def _remove_empty_runs(folder: Folder) -> None:
    """Remove runs of which only folders are left."""
    for run in folder.path.glob(f"{RUN_PREFIX}*") if folder.path else ():
        if all(path.is_dir() for path in run.rglob("*")):
            shutil.rmtree(run, ignore_errors=True)
