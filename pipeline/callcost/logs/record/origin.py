"""The ``callcost`` object, in which `backfill` writes down where the counts and the cost of a filled record come from.

A filled count is no reported one and a filled cost no logged one: with this object a record reads as it did before it
was filled, so that its log reports the same totals. An object of that name that is none of ours is not looked at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from callcost.logs.usage.usage import read_count
from callcost.logs.values.json import Refusal
from callcost.tables import Call, Usage

ORIGIN = "callcost"
USAGE, USAGE_SOURCE, COUNT_METHOD, COUNT_ERROR = "usage", "usage_source", "count_method", "count_error"
COST_IN = "cost_in"  # the record's own field that holds our cost
RECORD = "record"  # digest of the record before: a filled copy beside its original is one call
_DIGEST_BYTES = 16
FILLED = frozenset(["counted", "partial"])
SIDES = ("prompt_tokens", "completion_tokens")


def read_origin(call: Call, origin: Any) -> None:
    """Take back what was filled in: whose counts they are, and that the cost is not the writer's.

    Args:
        call: the call as it was read from the record; changed in place.
        origin: the record's ``callcost``.
    """
    if type(origin) is not dict:
        return
    source, method, error = origin.get(USAGE_SOURCE), origin.get(COUNT_METHOD), origin.get(COUNT_ERROR)
    if source in FILLED and type(method) is str:
        _fill_sides(call, origin.get(USAGE))
        call.usage_source, call.count_method = source, method
        call.count_error = float(error) if isinstance(error, int | float) else None
    if origin.get(COST_IN):
        call.logged_cost = None
    with contextlib.suppress(TypeError, ValueError):
        digest = bytes.fromhex(origin[RECORD]) if RECORD in origin else b""
        call.record_digest = digest if len(digest) == _DIGEST_BYTES else call.record_digest


def _fill_sides(call: Call, counts: Any) -> None:
    """Fill the sides that had no place of their own in the record."""
    if not isinstance(counts, Mapping):
        return
    usage = call.usage = call.usage or Usage()
    for side in SIDES:
        if getattr(usage, side) is None and counts.get(side) is not None:
            with contextlib.suppress(Refusal):
                setattr(usage, side, read_count(counts[side], side))
