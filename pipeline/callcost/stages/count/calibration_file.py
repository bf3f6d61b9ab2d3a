"""A file of what a user's own recordings tell: made by ``inspect --calibrate --write``, for ``report --calibration``.

JSON, to be read by people too: what reasoning takes, by kind (hidden_reasoning.py). It holds numbers, and names of
models and providers; no text and no user.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from callcost.errors import ConfigError
from callcost.stages.count.hidden_reasoning import KINDS, LEAST_CALLS, RATIOS, Ratios

_VERSION = 1
_NAMES = [name for name in RATIOS if name not in {"day", "kind"}]


# Kinds that older files tell of besides ours.
_OLDER = frozenset((
    ("line", "endpoint", "provider", "effort", "size"), ("line", "endpoint", "provider", "effort"),
    ("line", "endpoint", "asked"), ("family", "endpoint", "asked"),
))  # fmt: skip


class _Row(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A kind of calls: what it looks at, how many there are, mean and range of nine in ten of their reasoning."""

    by: tuple[str, ...]
    family: str | None = None
    line: str | None = None
    endpoint: str | None = None
    effort: str | None = None
    calls: int = LEAST_CALLS  # older files tell of no fewer, and not of how many
    mean: int
    low: int
    high: int
    provider: str | None = None  # this and the next: of older kinds
    asked: bool | None = None
    size: int | None = None


class _Calibration(msgspec.Struct, kw_only=True):
    callcost_calibration: int
    reasoning: list[_Row]


def calibration_bytes(ratios: Ratios) -> bytes:
    """Return the content of a calibration file."""
    rows = [dict(zip(RATIOS, ratio, strict=True)) for ratio in ratios]
    found = [_Row(by=KINDS[row["kind"]], **{name: row[name] for name in _NAMES}) for row in rows if row["day"] is None]
    document = _Calibration(callcost_calibration=_VERSION, reasoning=found)
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def read_calibration(path: str) -> Ratios:
    """Return the rows of RATIOS of a calibration file.

    Raises:
        ConfigError: it cannot be read, or is none.
    """
    try:
        document = msgspec.json.decode(Path(path).read_bytes(), type=_Calibration)
        if document.callcost_calibration != _VERSION:
            raise ConfigError(f"calibration: {path} is of another callcost", hint="Make it again: inspect --calibrate")
        return tuple(_ratio(row) for row in document.reasoning if row.by not in _OLDER)
    except (OSError, msgspec.DecodeError, ValueError) as error:
        hint = "callcost inspect LOGS --calibrate --write FILE makes one"
        raise ConfigError(f"calibration: {path} is no calibration file", hint=hint) from error


def _ratio(row: _Row) -> tuple[Any, ...]:
    kind = KINDS.index(row.by)  # ValueError: of no kind
    return tuple(None if name == "day" else kind if name == "kind" else getattr(row, name) for name in RATIOS)


def with_calibration(ratios: Ratios, path: str | None) -> Ratios:
    """Add what a calibration file tells of kinds that the log itself does not tell of."""
    if path is None:
        return ratios
    places = [place for place, name in enumerate(RATIOS) if name not in {"calls", "mean", "low", "high"}]
    known = {tuple(ratio[place] for place in places) for ratio in ratios}
    more = (row for row in read_calibration(path) if tuple(row[place] for place in places) not in known)
    return (*ratios, *more)


def digest_of_calibration(path: str | None) -> str | None:
    """Return the sha256 of a calibration file; None: there is none."""
    return None if path is None else hashlib.sha256(Path(path).read_bytes()).hexdigest()
