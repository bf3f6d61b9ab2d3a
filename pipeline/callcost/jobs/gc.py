"""`callcost gc`: remove what runs left in a --work-dir and nobody reads any more."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from callcost.errors import RunError
from callcost.logs.io.store_access import is_url
from callcost.runners.exactly_once import RUN_PREFIX, sweep_place
from callcost.runners.shared_files import remove_files


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
    place = place.rstrip("/") if is_url(place) else str(Path(place).resolve())
    if not is_url(place) and not Path(place).is_dir():
        raise RunError(f"there is no folder {place}")
    found = sweep_place(place, older=older_hours * 3600, unfinished=unfinished)
    try:
        if not dry_run:
            remove_files([file.url for file in found], within=place)
            _remove_empty_runs(place)
    except OSError as error:
        raise RunError(f"cannot remove {error.filename}: {error.strerror}", hint="Check its permissions") from error
    return Garbage(tuple(file.url for file in found), sum(file.bytes for file in found))


def _remove_empty_runs(place: str) -> None:
    """Remove runs of which only folders are left."""
    for run in () if is_url(place) else Path(place).glob(f"{RUN_PREFIX}*"):
        if all(path.is_dir() for path in run.rglob("*")):
            shutil.rmtree(run, ignore_errors=True)
