r"""Where a text may be cut without changing its tokens.

A tokenizer first cuts text into pre-tokens with one expression, then merges bytes inside each. A cut is safe where
every match of the expression over the whole text ends, whatever follows, and where the expression looks at nothing
before it. Two kinds are used here; both are proved against the whole-string count in tests/laws.

**Before a blank** (``slices``). No alternative of the GPT-2, r50k, p50k, cl100k or o200k expression matches a letter
or digit *followed* by a blank, and none looks behind. Where the blank would be looked at, it answers like the end of
the text: a run of letters or digits ends, ``(?!\S)`` and ``$`` are only asked after blanks. The same holds for an
ideograph or kana before a full-width comma or full stop. NFKC never composes across them.

**Around a long run of blanks** (``blank_runs``). ``\s+(?!\S)`` costs tiktoken's expression engine one stack entry per
blank, and at a million it gives up. So such a run is found and counted on its own: followed by something else,
all but its last blank are one pre-token; at the end of the text, all of it. Where the expression has its own
alternative for lines (``\s*[\r\n]``), that one ends at the run's last line break and costs no stack, so that only
the blanks after it count as the run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

SLICE_CHARS = 250_000  # a slice takes about 25 ms
BLANK_RUN = 250_000  # a quarter of the engine's stack

_LINES = "\r\n"
_BLANKS = (
    "\t\x0b\x0c \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029"
    "\u202f\u205f\u3000"
)  # White_Space of Unicode, which is what the engine means by \s; Python's re also counts U+001C to U+001F
# The blank, comma or full stop first, which most texts that have no safe place do not have either: ten times as fast.
_SAFE = re.compile("[ \u3002\uff0c](?:(?<=[0-9A-Za-z] )|(?<=[\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff][\u3002\uff0c]))")


def slices(text: str, size: int = SLICE_CHARS) -> Iterator[str]:
    """Cut a text into slices whose tokens add up to those of the whole.

    Args:
        text: any text.
        size: characters at which the next safe place is sought.

    Yields:
        The slices in order, each at least ``size`` long but for the last; one without a safe place is longer.

    >>> list(slices("one two three", size=5))
    ['one two', ' three']
    """
    start = 0
    while len(text) - start > size:
        found = _SAFE.search(text, start + size)
        if found is None:
            break
        yield text[start : found.start()]
        start = found.start()
    yield text[start:] if start else text


def blank_runs(text: str, pattern: str, shortest: int = BLANK_RUN) -> Iterator[tuple[int, int]]:
    """Find the runs of blanks that are one pre-token each and too long for the expression engine.

    Args:
        text: any text.
        pattern: the expression that cuts text into pre-tokens.
        shortest: length from which a run is too long.

    Yields:
        (start, end) of each, in order.
    """
    if r"\s+(?!\S)" not in pattern:
        return
    own_lines = r"\s*[\r\n]" in pattern
    blanks = _BLANKS if own_lines else _BLANKS + _LINES
    place = 0
    while place < len(text):  # a run that is long enough covers one of these places
        if text[place] not in blanks:
            place += shortest
            continue
        end = _run_end(text, place, blanks)
        start = place - _run_back(text, place, blanks)
        place = max(place + shortest, end)
        at_end = end == len(text)
        if end - start < shortest or (at_end and r"\s++$" in pattern):  # that alternative costs no stack
            continue
        if at_end:
            yield start, end
        elif text[end] not in _LINES:
            yield start, end - 1


def _run_end(text: str, place: int, blanks: str, step: int = BLANK_RUN) -> int:
    while place < len(text):
        piece = text[place : place + step]
        rest = len(piece.lstrip(blanks))
        if rest:
            return place + len(piece) - rest
        place += len(piece)
    return place


def _run_back(text: str, place: int, blanks: str, step: int = BLANK_RUN) -> int:
    length = 0
    while place > 0:
        piece = text[max(0, place - step) : place]
        kept = len(piece.rstrip(blanks))
        length += len(piece) - kept
        if kept:
            return length
        place -= len(piece)
    return length
