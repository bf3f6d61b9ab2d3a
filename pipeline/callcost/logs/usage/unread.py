"""Numbers of a record that look like usage and that no table reads: named, so that nothing billed is lost in silence.

What a table reads is known by its paths. NOTED are the names that say nothing more: what another count already holds,
what something else cost, and settings. A name that is in neither is somebody's new count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from callcost.logs.values.json_path import Path

UNREAD = "unread_usage"  # flag of a call
Known = Mapping[str, Any]  # key -> None: all below it is known; or what is known below it
_USAGE = re.compile(r"token|usage|cost", re.IGNORECASE)
_WORD = re.compile("[A-Z]?[a-z]+|[A-Z]+")
_SETTINGS = frozenset((  # words of settings and measures, which are no usage
    "max", "maximum", "min", "minimum", "limit", "limits", "budget", "per", "rate", "rates", "price", "prices",
    "remaining", "quota", "threshold", "window", "tokenizer", "id", "ids", "ratio", "percent", "percentage", "speed",
    "time", "ms", "seconds", "latency", "version", "type", "ratelimit",
    "access", "next", "refresh",
))  # fmt: skip
# Names that restate other counts, or say what something cost: nothing of them is billed once more.
NOTED = frozenset((
    "accepted_prediction_tokens", "rejected_prediction_tokens", "acceptedPredictionTokens",
    "rejectedPredictionTokens", "prompt_cache_miss_tokens", "cache_miss_tokens", "uncached_tokens",
    "uncached_input_tokens", "non_cached_input_tokens", "noCacheTokens", "textTokens", "text_tokens",
    "billable_tokens", "cost", "costs", "total_cost", "totalCost", "inputCost", "outputCost", "input_cost",
    "output_cost", "prompt_cost", "completion_cost", "estimated_cost", "response_cost", "cost_details",
    "cost_breakdown", "cost_in_usd_ticks", "cost_in_nano_usd", "is_byok", "saved_cache_cost", "costUSD",
    "total_cost_usd", "amazon-bedrock-invocationMetrics", "response_token/s", "prompt_token/s",
    "callcost",  # what a backfill wrote; its counts are read by themselves
    "context_details",  # xAI: the context of the last turn; its recorded costs are explained without it
))  # fmt: skip
_TEXT = re.compile(r"[\w.\-:/@ ]{1,100}")  # of a name that may be shown
_LEAF: Known = {}


@lru_cache(maxsize=8192)
def is_usage_like(key: str) -> bool:
    """Tell whether a number under a key may be a count of tokens or a cost, by the key.

    >>> is_usage_like("foo_tokens"), is_usage_like("max_tokens"), is_usage_like("latency_ms")
    (True, False, False)
    """
    return bool(_USAGE.search(key)) and _counts(key)


def _counts(key: str) -> bool:
    """Tell whether a key is neither noted nor of a setting or a measure."""
    return key.rpartition(".")[2] not in NOTED and not {word.lower() for word in _WORD.findall(key)} & _SETTINGS


def known_keys(paths: Iterable[Path]) -> Known:
    """Return what is known of an object of which some paths are read."""
    known: dict[str, Any] = {}
    for path in paths:
        below = known
        for key in path[:-1]:
            inner = below.setdefault(key, {})
            if inner is None:
                break
            below = inner
        else:
            if path:
                below[path[-1]] = None
    return known


def unread_keys(
    body: Mapping[str, Any], known: Known, prefix: str = "", *, like: bool = False, deep: bool = True
) -> list[str]:
    """Return the paths of the numbers of a usage object that look like usage and are not known.

    Args:
        body: the object.
        known: what is read of it.
        prefix: of the paths.
        like: whether what it stands under looks like usage, so that any number in it does.
        deep: whether objects and lists in it are looked into, and not only those that are named like usage and of which
            nothing is known.
    """
    found: list[str] = []
    for key, value in body.items():
        below = known.get(key, _LEAF)
        if below is None or value is None or type(key) is not str or key.rpartition(".")[2] in NOTED:
            continue
        if type(value) in _HOLDERS and (deep or (below is _LEAF and is_usage_like(key))):
            inner = is_usage_like(key) if "token" in key.lower() else below is _LEAF and (like or is_usage_like(key))
            listed = {str(place): item for place, item in enumerate(value)} if type(value) is list else value
            found += unread_keys(listed, below, f"{prefix}{key}.", like=inner)
        elif below is _LEAF and _is_number(value) and (like or is_usage_like(key)):
            found.append(f"{prefix}{_shown(key)}")
    return found


def stated_tokens(
    record: Mapping[str, Any], *, deep: bool, like: bool = False, known: Known = _LEAF
) -> str | None:
    """Return the path of the first number of a record that is a count of tokens by its name; None: there is none.

    Args:
        record: any record.
        deep: whether it may stand in an object of any name, and not only in one that is named like usage.
        like: whether the record stands under what looks like usage, so that what else is counted in it counts, too.
        known: what of the record is no usage: the entry of a cost map says what tokens cost, not how many there are.
    """
    for key, value in record.items():
        if type(key) is not str or (inside := known.get(key, _LEAF)) is None:
            continue
        own = like or is_usage_like(key)
        held = {f"{_shown(key)}.": value} if type(value) is dict and (deep or own) else {}
        if type(value) is list and own:
            held = {f"{_shown(key)}.{place}.": item for place, item in enumerate(value) if type(item) is dict}
        for name, item in held.items():
            below = stated_tokens(item, deep=True, like=own, known=inside)
            if below is not None:
                return name + below
        if _is_number(value) and ((like and _counts(key)) or ("token" in key.lower() and is_usage_like(key))):
            return _shown(key)
    return None


def _is_number(value: Any) -> bool:
    """Tell whether a value is a number other than 0, be it written as text, with marks between its thousands or not."""
    if type(value) is str:
        numeral = _NUMERAL.fullmatch(value.strip()) if len(value) <= _LONGEST else None
        return numeral is not None and any(sign.isdecimal() and sign != "0" for sign in numeral[1])
    return type(value) in _NUMBERS and bool(value)  # which a signalling NaN answers, but no comparison


def _shown(key: str) -> str:
    return key if _TEXT.fullmatch(key) else "?"


_LONGEST = 400  # signs of a number
_NUMERAL = re.compile(r"[+-]?(\d[\d,_'\u2009\u202f\xa0 ]*(?:\.\d*)?)(?:[eE][+-]?\d+)?")
_NUMBERS = (int, float, Decimal)
_HOLDERS = (dict, list)
