"""Rows that sum many calls: exports of usage by day or model, known by a count of calls beside their tokens.

Such a row is no call: priced as one, its tokens would reach the rates of long prompts. What it sums stands in its
reject, so that a run can tell how much it did not price.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Set
from functools import lru_cache
from typing import Any

from callcost.logs.usage.usage import has_tokens, read_usage
from callcost.logs.values.json import Refusal, dicts_in
from callcost.tables import Call

AGGREGATE = "aggregate"
_CALL = r"(?:call|request|invocation|generation)"
_COUNT = re.compile(
    rf"count|(?:calls|requests)|(?:num(?:ber)?(?:_?of)?|n|total|api|model|num_model|count(?:_?of)?)_?{_CALL}s"
    rf"|{_CALL}s?_?(?:count|total)|invocations",
    re.IGNORECASE,
)
_GAP = re.compile(r"[\s-]+")
_MEASURES = re.compile(  # objects that measure their row, so that a count of calls in them is the row's
    r"(?:(?:usage|token|api|llm|model|request|call|daily|total)_?)?"
    r"(?:usage|(?:metric|stat|statistic|total|counter|aggregate|aggregation)s?|counts|summary|summaries)",
    re.IGNORECASE,
)
_SIDE = r"(?:tokens?_?(?:in|out)(?:put)?|(?:input|output|prompt|completion)_?tokens?)"
_TOKENS = re.compile(rf"(?:total_?|(?:un)?cached_?|cache_(?:read|creation)_)?{_SIDE}", re.IGNORECASE)
_NESTED = ("results", "sum", "cache_creation")  # of buckets, and of rows of Cloudflare's analytics


@lru_cache(maxsize=4096)
def _is_count(name: Any) -> bool:
    return type(name) is str and _COUNT.fullmatch(_GAP.sub("_", name.strip())) is not None


def names_count(record: Mapping[str, Any]) -> bool:
    """Tell whether a record, or an object in it, has a key that may be a count of calls."""
    return any(_is_count(name) or (isinstance(value, Mapping) and names_count(value)) for name, value in record.items())


class Sum(Refusal):
    """A record sums many calls.

    Args:
        detail: what to give instead.
        calls: number of calls that the record says it sums; 0 where it does not say.
        tokens: prompt and completion, as far as they are stated.
    """

    def __init__(self, detail: str, calls: int, tokens: int) -> None:
        super().__init__(AGGREGATE, detail)
        self.calls = calls
        self.tokens = tokens


def refuse_sum(
    record: Mapping[str, Any],
    tokens: int | None,
    known: Set[str] = frozenset(),
    usages: Set[str] = frozenset(),
    bodies: Set[str] = frozenset(),
) -> None:
    """Refuse a record that says how many calls it is, itself or in an object that measures it.

    Args:
        record: the record as it was written.
        tokens: prompt and completion tokens of the record; None where it states none.
        known: fields whose meaning is known to be another, by their dotted paths.
        usages: objects of the record that its tokens may stand in.
        bodies: objects of the record that are a provider's, whose fields are never such a count.

    Raises:
        Sum: it is more than one call, or none at all.
    """
    if tokens is None:
        return
    for name in filter(_is_count, record):
        if name not in known:
            _refuse_count(name.strip(), record[name], tokens)
    for outer, inner in record.items():
        if isinstance(inner, Mapping) and outer not in bodies:
            for name in filter(_is_count, inner):
                if f"{outer}.{name}" not in known and _counts_row(outer, inner, name, tokens, usages):
                    _refuse_count(name.strip(), inner[name], tokens)


def _refuse_count(name: str, value: Any, tokens: int) -> None:
    count = _whole(value)
    if count is not None and (count > 1 or (count == 0 and tokens == 0)):
        raise Sum(f"{name} says that it is the sum of many calls: give the log of single calls", count, tokens)


def _counts_row(outer: str, inner: Mapping[str, Any], name: str, tokens: int, usages: Set[str]) -> bool:
    """Tell whether a count in an object is of the row's calls.

    It counts the tokens beside it. Where these are others than the row's, such as a session's so far or a limit, it
    says nothing of the row; where there are none, the object's name must say that it measures the row.
    """
    if outer in usages:
        return True
    own = _tokens_in(inner)
    if own:
        return own == tokens
    return name.strip().casefold() != "count" and _MEASURES.fullmatch(outer.strip()) is not None


def tokens_of(call: Call) -> int | None:
    """Return the tokens of both sides; of a row that states a cost alone 0, of one with neither None."""
    usage = call.usage
    if usage is None or not has_tokens(usage):
        return None if call.logged_cost is None or call.request or call.response else 0
    return (usage.prompt_tokens or 0) + (usage.completion_tokens or 0) or usage.total_tokens or 0


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


def _below(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    values = (record.get(name) for name in _NESTED)
    return [item for value in values for item in dicts_in(value if type(value) is list else [value])]


def _whole(value: Any) -> int | None:
    """Return a whole number, also as text with marks between its thousands; None: it is none."""
    if type(value) is int:
        return value if value >= 0 else None
    text = str(value) if type(value) is float else value
    if type(text) is not str or len(text) > 30:
        return None
    digits = text.strip().replace(",", "").replace("_", "").removesuffix(".0")
    return int(digits) if digits.isascii() and digits.isdecimal() else None
