"""What a bill states in the end: repeated pages count once, restated buckets replace what they stated before.

Until when a day is restated is known here, too.

Providers restate buckets in place, and pages are fetched twice; neither may add. A record with a key is worth what its
latest version says, in the order of the files, and a version's place is where it stood first, so that a page given
again brings nothing old back. Records without a key add, but a file given twice counts once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from callcost.logs.bills.lines import DAY, BillLine
from callcost.logs.bills.reader import BillFile, BillRecord

_DIGITS = re.compile(r"(\d+)")
_HOUR = DAY // 24
# Hours after a UTC day until its bill no longer moves (formats.md 4 and 6.3).
_LAGS = {"openai": 24, "anthropic": 24, "openrouter": 24}
_LONGEST_LAG = 72  # clouds and whom we do not know


def lag_of(provider: str) -> int:
    """Return how long after a UTC day its bill may still change, in microseconds."""
    return _LAGS.get(provider, _LONGEST_LAG) * _HOUR


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts page-2 before page-10."""
    pieces = _DIGITS.split(name)
    return tuple((1, int(piece), "") if piece.isdecimal() else (0, 0, piece) for piece in pieces if piece)


def settle_bill(files: Sequence[BillFile]) -> tuple[list[BillLine], Counter[str]]:
    """Return the lines that hold in the end, and the numbers of records "repeated" and "replaced".

    Args:
        files: files of the bill; later ones restate earlier ones.
    """
    kept: list[BillRecord] = []
    changes: Counter[str] = Counter()
    versions: dict[str, dict[str, tuple[tuple[int, int], BillRecord]]] = {}
    files_without_keys: set[str] = set()
    for number, file in enumerate(files):
        loose = [record for record in file.records if record.key is None]
        whole = _signature(record.signature for record in loose)
        if whole in files_without_keys:
            changes["repeated"] += len(loose)
        else:
            files_without_keys.add(whole)
            kept += loose
        for record in file.records:
            if record.key is not None:
                known = versions.setdefault(record.key, {})
                changes["repeated"] += record.signature in known
                known.setdefault(record.signature, ((number, record.page), record))
    for known in versions.values():
        kept.append(max(known.values(), key=lambda found: (found[0], found[1].signature))[1])
        changes["replaced"] += len(known) - 1
    return [line for record in kept for line in record.lines], changes


def _signature(signatures: Iterable[str]) -> str:
    return blake2b("\n".join(sorted(signatures)).encode(), digest_size=16).hexdigest()
