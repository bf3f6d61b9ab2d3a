"""One provider's usage object to the canonical ``Usage``: prompt inclusive, overlapping counts put right.

What the fields are called is in spellings.py. This file knows the arithmetic: what a count may be, which counts stand
inside which, what the stated total says about that, and what to do where the numbers contradict each other: clamp to
the total, and flag the call ``inconsistent_usage``. Nothing stated stays None; a stated zero stays 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from callcost.logs.usage.spellings import COMPILED, Compiled, Labelled
from callcost.logs.usage.unit_quantities import read_quantities, settle_searches
from callcost.logs.values.json import Refusal
from callcost.logs.values.json_path import PathTree, follow, parse_path, read_paths
from callcost.tables import MAX_COUNT, USAGE_COUNTS, Usage

INCONSISTENT = "inconsistent_usage"
TOKEN_SIDES = ("prompt_tokens", "completion_tokens", "total_tokens")
_WHOLE = re.compile(r"([+-]?[0-9]+)(?:\.0*)?")
_MAX_DIGITS = 18
_CACHE_PARTS = (
    "cache_read_input_tokens", "cache_creation_input_tokens", "cache_write_1h_tokens", "cache_write_5m_tokens",
)  # fmt: skip
_WRITE_PARTS = _CACHE_PARTS[2:]
_SIDES = frozenset(TOKEN_SIDES)
# A count that stands inside another; cache reads and writes share the prompt and are fitted in together.
_WHOLES = (
    {f"{kind}_input_tokens": "prompt_tokens" for kind in ("text", "audio", "image", "video")}
    | {f"{kind}_output_tokens": "completion_tokens" for kind in ("text", "audio", "image", "video")}
    | {f"cache_read_{kind}_tokens": "cache_read_input_tokens" for kind in ("text", "audio", "image")}
    | {"reasoning_tokens": "completion_tokens"}
)
PARTS_OF_PARTS = frozenset((*_WRITE_PARTS, *(name for name, whole in _WHOLES.items() if whole not in _SIDES)))
# (counts, the count that they stand in together): where all of these hold, nothing is clamped.
SHARES = (
    *(((name,), whole) for name, whole in _WHOLES.items()),
    (_CACHE_PARTS[:2], "prompt_tokens"),
    (_WRITE_PARTS, "cache_creation_input_tokens"),
)
Counts = dict[str, int]


class Reading(msgspec.Struct):
    """What a usage object says.

    Attributes:
        usage: None where it states no token count.
        iterations: the sampling runs, where it lists more than one or another model's.
        flags: what is wrong with it.
    """

    usage: Usage | None = None
    iterations: list[Usage] = msgspec.field(default_factory=list)
    flags: set[str] = msgspec.field(default_factory=set)


def read_usage(body: Any, model: str = "") -> Reading:
    """Read the usage object of any provider.

    Args:
        body: the object as the provider or a gateway wrote it.
        model: who answered; only Gemini behind OpenAI's spelling needs it.

    Raises:
        Refusal: a count is negative, broken, no number or beyond MAX_COUNT.
    """
    compiled = shape_of(body)
    if compiled is None:
        return Reading()
    usage, flags = _read_shape(body, compiled, model)
    entries = body.get("iterations")
    if type(entries) is list and entries:
        return _read_iterations(entries, usage, flags)
    return Reading(usage=usage if has_tokens(usage) or usage.billed_units else None, flags=flags)


def shape_of(body: Any) -> Compiled | None:
    """Return the shape of a usage object; None where it is none."""
    if type(body) is not dict or not body:
        return None
    for item in COMPILED:
        if not item.marks.isdisjoint(body):
            return item
    return None


def has_tokens(usage: Usage) -> bool:
    """Tell whether a usage states any of prompt, completion and total."""
    return not (usage.prompt_tokens is None and usage.completion_tokens is None and usage.total_tokens is None)


def states_both_sides(usage: Usage | None) -> bool:
    """Tell whether nothing is left to count."""
    return usage is not None and usage.prompt_tokens is not None and usage.completion_tokens is not None


def is_zero(usage: Usage) -> bool:
    """Tell whether every count that is stated is 0, and nothing is billed beside tokens."""
    return not usage.billed_units and not any(getattr(usage, name) for name in USAGE_COUNTS)


def read_count(value: Any, field: str) -> int | None:
    """Return a count; None where nothing is stated ("", or the NaN of a table's empty cell).

    Args:
        value: 3, 3.0, "3" and "3.0" are three; true, 1.5 and -1 are no counts.
        field: named in the refusal.

    Raises:
        Refusal: ``bad_count`` or ``count_out_of_range``.
    """
    number: int | None = value if type(value) is int else _whole_number(value, field)
    if number is not None and number < 0:
        raise Refusal("bad_count", f"{field} is negative")
    if number is not None and number > MAX_COUNT:
        raise Refusal("count_out_of_range", field)
    return number


def _whole_number(value: Any, field: str) -> int | None:
    """Return what is no int as one; MAX_COUNT + 1 stands for anything larger."""
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        whole = _WHOLE.fullmatch(text)
        if not whole:
            raise Refusal("bad_count", f"{field} is not a whole number")
        return int(whole[1]) if len(whole[1]) <= _MAX_DIGITS else MAX_COUNT + 1
    if isinstance(value, bool) or not isinstance(value, float | Decimal):
        raise Refusal("bad_count", f"{field} is not a number")
    if value != value:  # noqa: PLR0124 - NaN
        return None
    if not -MAX_COUNT <= value <= MAX_COUNT:
        return MAX_COUNT + 1 if value > 0 else -1
    if value != int(value):
        raise Refusal("bad_count", f"{field} is not a whole number")
    return int(value)


def read_counts(record: Any, tree: PathTree) -> Counts:
    """Return the counts that stand at the places of a table.

    Raises:
        Refusal: ``bad_count`` or ``count_out_of_range``.
    """
    counts: Counts = {}
    for name, value in read_paths(record, tree).items():
        number = value if type(value) is int and 0 <= value <= MAX_COUNT else read_count(value, name)
        if number is not None:
            counts[name] = number
    return counts


def settle_counts(
    counts: Counts, *, prompt: str = "inclusive", reasoning: str = "inside", model: str = ""
) -> tuple[Usage, set[str]]:
    """Put counts as stated into the canonical meaning.

    Args:
        counts: canonical names, in the meaning of their source.
        prompt: "inclusive" or "exclusive" of cache reads and writes.
        reasoning: "inside" the completion count unless the total tells otherwise, "beside" it, or "within" it always.
        model: who answered.

    Returns:
        The usage, and flags.
    """
    if _is_simple(counts):
        _complete_identity(counts)
        return _usage_of(counts), set()
    stated = counts.get("total_tokens")
    _add_cache(counts, prompt)
    _add_reasoning(counts, reasoning, model)
    _complete_identity(counts)
    wrong = stated is not None and stated != counts["total_tokens"]
    wrong = _clamp(counts) or wrong
    return _usage_of(counts), {INCONSISTENT} if wrong else set()


def add_usages(usages: Iterable[Usage]) -> Usage:
    """Sum usages; a count that none of them states stays None."""
    sums: Counts = {}
    units: dict[str, Decimal] = {}
    for usage in usages:
        for name in USAGE_COUNTS:
            value = getattr(usage, name)
            if value is not None:
                sums[name] = sums.get(name, 0) + value
        for unit, quantity in (usage.billed_units or {}).items():
            units[unit] = units.get(unit, Decimal(0)) + quantity
    total = _usage_of(sums)
    total.billed_units = units or None
    return total


def _usage_of(counts: Mapping[str, Any]) -> Usage:
    return Usage(**counts)


def _read_shape(body: Mapping[str, Any], compiled: Compiled, model: str) -> tuple[Usage, set[str]]:
    shape = compiled.shape
    counts = read_counts(body, compiled.counts)
    for labelled in shape.lists:
        _read_list(follow(body, parse_path(labelled.path)), labelled, counts)
    for key in shape.extra_prompt:
        extra = read_count(body.get(key, 0) or 0, key)
        if extra:
            counts["prompt_tokens"] = counts.get("prompt_tokens", 0) + extra
    usage, flags = settle_counts(counts, prompt=shape.prompt, reasoning=shape.reasoning, model=model)
    if compiled.unit_keys and not compiled.unit_keys.isdisjoint(body):
        usage.billed_units = settle_searches(read_quantities(read_paths(body, compiled.units)), body, model) or None
    return usage, flags


def _read_list(entries: Any, labelled: Labelled, counts: Counts) -> None:
    for entry in entries if type(entries) is list else ():
        name = labelled.counts.get(str(entry.get(labelled.label))) if type(entry) is dict else None
        number = read_count(entry.get(labelled.number, ""), name) if name else None
        if name and number is not None:
            counts[name] = counts.get(name, 0) + number


def _read_iterations(entries: list[Any], top: Usage, flags: set[str]) -> Reading:
    """Read Anthropic's usage.iterations: the top level leaves out compactions and other models' runs.

    Of a request that fell back to another model, attempts without output are not billed.
    Source: https://platform.claude.com/docs/en/build-with-claude/refusals-and-fallback
    """
    runs = []
    fell_back = any(type(entry) is dict and entry.get("type") == "fallback_message" for entry in entries)
    for entry in entries:
        compiled = shape_of(entry)
        if compiled is not None:
            run, wrong = _read_shape(entry, compiled, "")
            run.model = entry.get("model") if type(entry.get("model")) is str else None
            free = fell_back and run.completion_tokens == 0
            runs += [run] if has_tokens(run) and not free else []
            flags |= wrong
    if not runs:
        return Reading(usage=top if has_tokens(top) else None, flags=flags)
    if top.billed_units and not any(run.billed_units for run in runs):
        runs[0].billed_units = top.billed_units
    single = len(runs) == 1 and runs[0].model is None
    return Reading(usage=add_usages(runs), iterations=[] if single else runs, flags=flags)


def _is_simple(counts: Counts) -> bool:
    """Tell whether no part of a side is stated, or all are 0, and the sides give the total: nothing to settle."""
    prompt, completion, total = map(counts.get, TOKEN_SIDES)
    for name, value in counts.items():
        if name not in _SIDES and (value or name in _WRITE_PARTS):
            return False
    return prompt is not None and completion is not None and (total is None or total == prompt + completion)


def _add_cache(counts: Counts, prompt: str) -> None:
    """Make the prompt count include cache reads and writes; a stated total may tell that it does not yet."""
    read, written = counts.get("cache_read_input_tokens", 0), counts.get("cache_creation_input_tokens")
    if written is None:
        parts = [counts[name] for name in _WRITE_PARTS if name in counts]
        written = sum(parts)
        if parts:
            counts["cache_creation_input_tokens"] = written
    cached = read + written
    own, completion = counts.get("prompt_tokens"), counts.get("completion_tokens")
    if cached and own is not None:
        whole = None if completion is None else own + cached + completion
        if prompt == "exclusive" or (whole is not None and counts.get("total_tokens") == whole):
            counts["prompt_tokens"] = own + cached


def _add_reasoning(counts: Counts, reasoning: str, model: str) -> None:
    """Make the completion count include reasoning.

    xAI's chat API states it beside the completion and only the total tells; Gemini behind OpenAI's spelling states
    it in the total alone.
    """
    thought = counts.get("reasoning_tokens", 0)
    prompt, completion, total = map(counts.get, TOKEN_SIDES)
    if reasoning == "beside":
        if thought:
            counts["completion_tokens"] = (completion or 0) + thought
    elif reasoning == "within" or prompt is None or completion is None or total is None:
        return
    elif total > prompt + completion:
        gap = total - prompt - completion
        if gap == thought or (not thought and "gemini" in model):
            counts["completion_tokens"] = completion + gap
            counts["reasoning_tokens"] = gap


def _complete_identity(counts: Counts) -> None:
    """Fill the one of prompt, completion and total that the other two give."""
    prompt, completion, total = map(counts.get, TOKEN_SIDES)
    if total is not None and prompt is not None and completion is None:
        completion = counts["completion_tokens"] = max(total - prompt, 0)
    elif total is not None and completion is not None and prompt is None:
        prompt = counts["prompt_tokens"] = max(total - completion, 0)
    if prompt is not None and completion is not None:
        counts["total_tokens"] = prompt + completion


def _clamp(counts: Counts) -> bool:
    """Cut parts down to their whole; tell whether any was larger."""
    wrong = any(map(counts.get, _CACHE_PARTS)) and _clamp_cache(counts)
    for name, value in counts.items():
        if value and name in _WHOLES:
            whole = counts.get(_WHOLES[name])
            if whole is not None and value > whole:
                counts[name] = whole
                wrong = True
    return wrong


def _clamp_cache(counts: Counts) -> bool:
    """Make reads, then writes, then their one-hour and five-minute parts fit into what is left of the prompt."""
    before = dict(counts)
    prompt = counts.get("prompt_tokens")
    read = counts.get("cache_read_input_tokens", 0)
    written = counts.get("cache_creation_input_tokens", 0)
    if prompt is not None:
        read = min(read, prompt)
        written = min(written, prompt - read)
    hour = min(counts.get("cache_write_1h_tokens", 0), written)
    minutes = min(counts.get("cache_write_5m_tokens", 0), written - hour)
    for name, value in zip(_CACHE_PARTS, (read, written, hour, minutes), strict=True):
        if name in counts:
            counts[name] = value
    return counts != before
