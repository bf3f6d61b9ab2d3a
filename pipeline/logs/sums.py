"""Rows that sum many calls: exports of usage by day or model, told by a count of calls beside their tokens.

Such a row is no call: priced as one, its tokens would reach the rates of long prompts. What it sums is said with its
reject, so that a run can tell how much it did not price.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Set
from functools import lru_cache
from typing import Any

from pipeline.logs.decode import Refusal
from pipeline.logs.usage import read_usage

AGGREGATE = "aggregate"
_CALL = r"(?:call|request|invocation|generation)"
_COUNT = re.compile(
    rf"count|(?:calls|requests)|(?:num(?:ber)?(?:_?of)?|n|total|api|model|num_model|count(?:_?of)?)_?{_CALL}s"
    rf"|{_CALL}s?_?(?:count|total)",
    re.IGNORECASE,
)
_SIDE = r"(?:tokens?_?(?:in|out)(?:put)?|(?:input|output|prompt|completion)_?tokens?)"
_TOKENS = re.compile(rf"(?:total_?|(?:un)?cached_?|cache_(?:read|creation)_)?{_SIDE}", re.IGNORECASE)
_NESTED = ("results", "sum", "cache_creation")  # of buckets, and of rows of Cloudflare's analytics


@lru_cache(maxsize=4096)
def _is_count(name: str) -> bool:
    return _COUNT.fullmatch(name) is not None


class Sum(Refusal):
    """A record sums many calls.

    Args:
        detail: what to give instead.
        calls: how many it says it sums; 0: it does not say.
        tokens: prompt and completion, as far as they are stated.
    """

    def __init__(self, detail: str, calls: int, tokens: int) -> None:
        super().__init__(AGGREGATE, detail)
        self.calls = calls
        self.tokens = tokens


def refuse_sum(record: Mapping[str, Any], tokens: int | None, known: Set[str] = frozenset()) -> None:
    """Refuse a record that says how many calls it is.

    Args:
        record: as it was written.
        tokens: of prompt and completion; None: it states none.
        known: fields whose meaning is known to be another.

    Raises:
        Sum: it is more than one call, or none at all.
    """
    for name in record:
        if _is_count(name) and name not in known:
            count = _whole(record[name])
            if count is not None and tokens is not None and (count > 1 or (count == 0 and tokens == 0)):
                raise Sum(f"{name} says that it is the sum of many calls: give the log of single calls", count, tokens)


def sum_of(record: Mapping[str, Any], detail: str) -> Sum:
    """Return the refusal of a record that is known for a sum."""
    return Sum(detail, _calls_in(record), _tokens_in(record))


def _calls_in(record: Mapping[str, Any]) -> int:
    own = (_whole(value) or 0 for name, value in record.items() if _is_count(name))
    return max(own, default=0) or sum(map(_calls_in, _below(record)))


def _tokens_in(record: Mapping[str, Any]) -> int:
    with contextlib.suppress(Refusal):
        usage = read_usage(dict(record)).usage
        if usage is not None:
            sides = (usage.prompt_tokens or 0) + (usage.completion_tokens or 0)
            return sides or usage.total_tokens or 0
    own = sum(_whole(value) or 0 for name, value in record.items() if _TOKENS.fullmatch(name))
    return own + sum(map(_tokens_in, _below(record)))


def _below(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    values = (record.get(name) for name in _NESTED)
    return [
        item for value in values for item in (value if type(value) is list else [value]) if isinstance(item, Mapping)
    ]


def _whole(value: Any) -> int | None:
    """Return a whole number, also as text with marks between its thousands; None: it is none."""
    if type(value) is int:
        return value if value >= 0 else None
    text = str(value) if type(value) is float else value
    if type(text) is not str or len(text) > 30:
        return None
    digits = text.strip().replace(",", "").replace("_", "").removesuffix(".0")
    return int(digits) if digits.isascii() and digits.isdecimal() else None
