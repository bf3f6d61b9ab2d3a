"""What was suspicious in a map and was forced: rows beside the versions, which make its calls partly priced.

The columns are those of ``corrections.csv``; what the rows do is said in ``prices/book/corrections.py``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from callcost.prices.book.archive import isoformat, write_file
from callcost.prices.book.corrections import COLUMNS, SUSPICION, SUSPICIONS
from callcost.prices.book.cost_map import Entry
from callcost.prices.upstream.gate import Suspicion


def record_suspicions(
    found: Iterable[Suspicion], entries: Mapping[str, Entry], *, version: str, begins: int, now: int, folder: Path
) -> None:
    """Put what was suspicious in a map that was forced on record, beside the versions of its folder.

    Args:
        found: what is suspicious.
        entries: of the map.
        version: see ``row_of``.
        begins: see ``row_of``.
        now: see ``row_of``.
        folder: of the versions.
    """
    rows = [row_of(each, entries[each.model], version=version, begins=begins, now=now) for each in found]
    if rows:
        add_suspicions(rows, folder)


def row_of(found: Suspicion, entry: Entry, *, version: str, begins: int, now: int) -> Mapping[str, str]:
    """Return the row of a suspicion that stays open.

    Args:
        found: what is suspicious.
        entry: of its model, in the map.
        version: name of the map.
        begins: since when that is in force, microseconds since 1970 UTC.
        now: when it was recorded, microseconds since 1970 UTC.
    """
    provider = str(entry.get("litellm_provider") or "")
    cells = (found.model, provider, found.field, f"{found.new:f}", isoformat(begins), "", "", SUSPICION, found.words,
             "one_source", isoformat(now), version)  # fmt: skip
    return dict(zip(COLUMNS, cells, strict=True))


def add_suspicions(rows: Iterable[Mapping[str, str]], folder: Path) -> None:
    """Append rows to those of a folder of versions."""
    path, text = folder / SUSPICIONS, io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    if not path.exists():
        writer.writeheader()
    writer.writerows(rows)
    write_file(path, (path.read_bytes() if path.exists() else b"") + text.getvalue().encode())
