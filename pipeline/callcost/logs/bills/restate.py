"""What a bill states in the end: repeated pages count once, restated buckets replace what they said before.

Providers restate buckets in place, and pages are fetched twice; neither may add. A record with a key is worth what its
latest version says, in the order of the files, and a version's place is where it stood first, so that a page given
again brings nothing old back. Records without a key add, but a file given twice counts once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from callcost.logs.bills.lines import BillLine
from callcost.logs.bills.reader import BillFile, Stated

_DIGITS = re.compile(r"(\d+)")


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts page-2 before page-10."""
    pieces = _DIGITS.split(name)
    return tuple((1, int(piece), "") if piece.isdecimal() else (0, 0, piece) for piece in pieces if piece)


def settle_bill(files: Sequence[BillFile]) -> tuple[list[BillLine], Counter[str]]:
    """Return the lines that hold in the end, and how many records were repeated or replaced.

    Args:
        files: of the bill; later files restate earlier ones.
    """
    kept: list[Stated] = []
    fates: Counter[str] = Counter()
    versions: dict[str, dict[str, tuple[tuple[int, int], Stated]]] = {}
    seen: set[str] = set()
    for number, file in enumerate(files):
        loose = [stated for stated in file.stated if stated.key is None]
        whole = _signature(stated.signature for stated in loose)
        if whole in seen:
            fates["repeated"] += len(loose)
        else:
            seen.add(whole)
            kept += loose
        for stated in file.stated:
            if stated.key is not None:
                known = versions.setdefault(stated.key, {})
                fates["repeated"] += stated.signature in known
                known.setdefault(stated.signature, ((number, stated.page), stated))
    for known in versions.values():
        kept.append(max(known.values(), key=lambda found: (found[0], found[1].signature))[1])
        fates["replaced"] += len(known) - 1
    return [line for stated in kept for line in stated.lines], fates


def _signature(signatures: Iterable[str]) -> str:
    return blake2b("\n".join(sorted(signatures)).encode(), digest_size=16).hexdigest()
