"""One provider's usage object to the canonical ``Usage``: prompt inclusive, overlapping counts put right.

What the fields are called is in shapes.py. This file knows the arithmetic: what a count may be, which counts stand
inside which, what the stated total says about that, and what to do where the numbers contradict each other: clamp to
the total, and flag the call ``inconsistent_usage``. Nothing stated stays None; a stated zero stays 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from math import isinf, isnan
from typing import Any

import msgspec

from pipeline.logs.decode import Refusal
from pipeline.logs.paths import follow, parse_path, read_places
from pipeline.logs.shapes import COMPILED, Compiled, Labelled
from pipeline.tables import MAX_COUNT, USAGE_COUNTS, Usage

INCONSISTENT = "inconsistent_usage"
TOKEN_SIDES = ("prompt_tokens", "completion_tokens", "total_tokens")
_WHOLE = re.compile(r"\+?(\d+)(?:\.0*)?")
_INPUT_MODALITIES = ("text_input_tokens", "audio_input_tokens", "image_input_tokens", "video_input_tokens")
_OUTPUT_MODALITIES = ("text_output_tokens", "audio_output_tokens", "image_output_tokens", "video_output_tokens")
_CACHED_MODALITIES = ("cache_read_text_tokens", "cache_read_audio_tokens", "cache_read_image_tokens")
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
    entries = body.get("iterations") if compiled.shape.name == "anthropic" else None
    if type(entries) is list and entries:
        return _read_iterations(entries, usage, flags)
    return Reading(usage=usage if usage is not None and has_tokens(usage) else None, flags=flags)


def shape_of(body: Any) -> Compiled | None:
    """Return the shape of a usage object; None where it is none."""
    if type(body) is not dict or not body:
        return None
    return next((item for item in COMPILED if any(mark in body for mark in item.shape.marks)), None)


def has_tokens(usage: Usage) -> bool:
    """Tell whether a usage states any of prompt, completion and total."""
    return not (usage.prompt_tokens is None and usage.completion_tokens is None and usage.total_tokens is None)


def is_zero(usage: Usage) -> bool:
    """Tell whether every count that is stated is 0."""
    return not any(getattr(usage, name) for name in USAGE_COUNTS)


def read_count(value: Any, field: str) -> int | None:
    """Return a count; None where nothing is stated ("", or the NaN of a table's empty cell).

    Args:
        value: 3, 3.0, "3" and "3.0" are three; true, 1.5 and -1 are no counts.
        field: named in the refusal.

    Raises:
        Refusal: ``bad_count`` or ``count_out_of_range``.
    """
    if type(value) is int:
        number = value
    elif isinstance(value, float):
        if isnan(value):
            return None
        if not isinf(value) and not value.is_integer():
            raise Refusal("bad_count", f"{field} is not a whole number")
        number = int(value) if not isinf(value) else MAX_COUNT + 1 if value > 0 else -1
    elif isinstance(value, str):
        if not value.strip():
            return None
        whole = _WHOLE.fullmatch(value.strip())
        if not whole:
            raise Refusal("bad_count", f"{field} is not a whole number")
        number = int(whole[1][:20]) if len(whole[1]) <= 20 else MAX_COUNT + 1
    elif isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        number = int(value) if abs(value) <= MAX_COUNT else MAX_COUNT + 1
    else:
        raise Refusal("bad_count", f"{field} is not a number")
    if number < 0:
        raise Refusal("bad_count", f"{field} is negative")
    if number > MAX_COUNT:
        raise Refusal("count_out_of_range", field)
    return number


def settle_counts(
    counts: Counts, *, prompt: str = "inclusive", reasoning: str = "inside", model: str = ""
) -> tuple[Usage, set[str]]:
    """Put counts as stated into the canonical meaning.

    Args:
        counts: canonical names, in the meaning of their source.
        prompt: "inclusive" or "exclusive" of cache reads and writes.
        reasoning: "inside" the completion count or "beside" it.
        model: who answered.

    Returns:
        The usage, and flags.
    """
    before = dict(counts)
    _add_writes(counts)
    _include_cache(counts, prompt)
    _include_reasoning(counts, reasoning, model)
    _complete_identity(counts)
    clamped = _clamp(counts)
    stated = before.get("total_tokens")
    wrong = stated is not None and stated != counts["total_tokens"]
    return Usage(**counts), {INCONSISTENT} if clamped or wrong else set()


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
    return Usage(**sums, billed_units=units or None)


def _read_shape(body: Mapping[str, Any], compiled: Compiled, model: str) -> tuple[Usage, set[str]]:
    shape = compiled.shape
    counts: Counts = {}
    for name, value in read_places(body, compiled.counts).items():
        number = read_count(value, name)
        if number is not None:
            counts[name] = number
    for labelled in shape.lists:
        _read_list(follow(body, parse_path(labelled.path)), labelled, counts)
    for key in shape.extra_prompt:
        extra = read_count(body.get(key, 0) or 0, key)
        if extra:
            counts["prompt_tokens"] = counts.get("prompt_tokens", 0) + extra
    usage, flags = settle_counts(counts, prompt=shape.prompt, reasoning=shape.reasoning, model=model)
    usage.billed_units = _read_units(read_places(body, compiled.units)) or None
    return usage, flags


def _read_list(entries: Any, labelled: Labelled, counts: Counts) -> None:
    for entry in entries if type(entries) is list else ():
        name = labelled.counts.get(str(entry.get(labelled.label))) if type(entry) is dict else None
        number = read_count(entry.get(labelled.number, ""), name) if name else None
        if name and number is not None:
            counts[name] = counts.get(name, 0) + number


def _read_units(found: Mapping[str, Any]) -> dict[str, Decimal]:
    units = {unit: read_count(value, unit) for unit, value in found.items()}
    return {unit: Decimal(quantity) for unit, quantity in units.items() if quantity}


def _read_iterations(entries: list[Any], top: Usage, flags: set[str]) -> Reading:
    """Read Anthropic's usage.iterations: the top level leaves out compactions and other models' runs."""
    runs = []
    for entry in entries:
        compiled = shape_of(entry)
        if compiled is None:
            continue
        run, wrong = _read_shape(entry, compiled, "")
        run.model = entry.get("model") if type(entry.get("model")) is str else None
        runs.append(run)
        flags |= wrong
    runs = [run for run in runs if has_tokens(run)]
    if not runs:
        return Reading(usage=top if has_tokens(top) else None, flags=flags)
    if top.billed_units and not any(run.billed_units for run in runs):
        runs[0].billed_units = top.billed_units
    single = len(runs) == 1 and runs[0].model is None
    return Reading(usage=add_usages(runs), iterations=[] if single else runs, flags=flags)


def _add_writes(counts: Counts) -> None:
    if "cache_creation_input_tokens" not in counts:
        parts = [counts[name] for name in ("cache_write_5m_tokens", "cache_write_1h_tokens") if name in counts]
        if parts:
            counts["cache_creation_input_tokens"] = sum(parts)


def _include_cache(counts: Counts, prompt: str) -> None:
    """Make the prompt count include cache reads and writes; a stated total may tell that it does not yet."""
    cache = counts.get("cache_read_input_tokens", 0) + counts.get("cache_creation_input_tokens", 0)
    if not cache or "prompt_tokens" not in counts:
        return
    total, completion = counts.get("total_tokens"), counts.get("completion_tokens")
    beside = prompt == "exclusive"
    if not beside and total is not None and completion is not None:
        beside = total == counts["prompt_tokens"] + cache + completion
    if beside:
        counts["prompt_tokens"] += cache


def _include_reasoning(counts: Counts, reasoning: str, model: str) -> None:
    """Make the completion count include reasoning.

    xAI's chat API states it beside the completion and only the total tells; Gemini behind OpenAI's spelling states
    it in the total alone.
    """
    prompt, completion = counts.get("prompt_tokens"), counts.get("completion_tokens")
    thought, total = counts.get("reasoning_tokens", 0), counts.get("total_tokens")
    if reasoning == "beside":
        if thought:
            counts["completion_tokens"] = (completion or 0) + thought
    elif prompt is not None and completion is not None and total is not None and total > prompt + completion:
        gap = total - prompt - completion
        if gap == thought or (not thought and "gemini" in model):
            counts["completion_tokens"] = completion + gap
            counts["reasoning_tokens"] = gap


def _complete_identity(counts: Counts) -> None:
    """Fill the one of prompt, completion and total that the other two give."""
    prompt, completion, total = (counts.get(name) for name in TOKEN_SIDES)
    if total is not None and prompt is not None and completion is None:
        counts["completion_tokens"] = max(total - prompt, 0)
    elif total is not None and completion is not None and prompt is None:
        counts["prompt_tokens"] = max(total - completion, 0)
    if "prompt_tokens" in counts and "completion_tokens" in counts:
        counts["total_tokens"] = counts["prompt_tokens"] + counts["completion_tokens"]


def _clamp(counts: Counts) -> bool:
    """Cut parts down to their whole; tell whether any was larger."""
    wrong = False

    def limit(name: str, room: int | None) -> int:
        nonlocal wrong
        value = counts.get(name)
        if value is None:
            return 0
        if room is not None and value > room:
            counts[name] = value = max(room, 0)
            wrong = True
        return value

    prompt, completion = counts.get("prompt_tokens"), counts.get("completion_tokens")
    read = limit("cache_read_input_tokens", prompt)
    written = limit("cache_creation_input_tokens", None if prompt is None else prompt - read)
    if "cache_creation_input_tokens" in counts:
        hour = limit("cache_write_1h_tokens", written)
        limit("cache_write_5m_tokens", written - hour)
    for name in _INPUT_MODALITIES:
        limit(name, prompt)
    for name in _CACHED_MODALITIES:
        limit(name, read)
    limit("reasoning_tokens", completion)
    for name in _OUTPUT_MODALITIES:
        limit(name, completion)
    return wrong
