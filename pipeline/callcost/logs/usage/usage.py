"""One provider's usage object to the canonical ``Usage``: what a count may be, and where each stands.

What the fields are called is in spellings.py, what stands inside what in arithmetic.py. Nothing stated stays None; a
stated zero stays 0. Nothing is passed over in silence: places that differ are flagged, and numbers that look like usage
and stand in no table are named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from callcost.logs.usage.arithmetic import AMBIGUOUS, SIDES, Counts, settle_counts
from callcost.logs.usage.compiled_shapes import COMPILED, Compiled
from callcost.logs.usage.spellings import Labelled
from callcost.logs.usage.unit_quantities import drop_zeros, read_quantity, settle_searches
from callcost.logs.usage.unread import Known, unread_keys
from callcost.logs.values.json import Refusal
from callcost.logs.values.json_path import MAX_POSITIONS, PathTree, follow, parse_path
from callcost.tables import MAX_COUNT, USAGE_COUNTS, Usage

_WHOLE = re.compile(r"([+-]?[0-9]+)(?:\.0*)?")
_MAX_DIGITS = 18
_NOTHING: Known = {}
_MARKED = {"object": (dict,), "number": (int, float)}
# Counts of another measure, and the side that they are taken for where what is billed is not stated.
OTHERWISE = {"other_prompt_tokens": "prompt_tokens", "other_completion_tokens": "completion_tokens"}

N = TypeVar("N", int, Decimal)


class Reading(msgspec.Struct):
    """What a usage object says.

    Attributes:
        usage: None where it states no token count.
        iterations: the sampling runs, where it lists more than one or another model's.
        flags: what is wrong with it.
        unread: paths of numbers in it that look like usage and that no table knows.
    """

    usage: Usage | None = None
    iterations: list[Usage] = msgspec.field(default_factory=list)
    flags: set[str] = msgspec.field(default_factory=set)
    unread: list[str] = msgspec.field(default_factory=list)


def read_usage(body: Any, model: str = "", *, scan: bool = True, like: bool = False) -> Reading:
    """Read the usage object of any provider; of one of no known shape, name the numbers.

    Args:
        body: the object as the provider or a gateway wrote it.
        model: who answered; only Gemini behind OpenAI's spelling needs it.
        scan: whether numbers that no table knows are named; not those of a record that says much beside its usage.
        like: whether the object's name says that it is a usage, so that any number in it is one of no known shape.

    Raises:
        Refusal: a count is negative, broken, no number or beyond MAX_COUNT.
    """
    compiled = shape_of(body)
    if compiled is None:
        return Reading(unread=unread_keys(body, _NOTHING, like=True) if like and type(body) is dict else [])
    reading = _read_shape(body, compiled, model, scan=scan)
    entries = body.get("iterations")
    if type(entries) is list and entries:
        return _read_iterations(entries, reading)
    return reading


def shape_of(body: Any) -> Compiled | None:
    """Return the shape of a usage object; None where it is none."""
    if type(body) is not dict or not body:
        return None
    for item in COMPILED:
        marked = () if item.marks.isdisjoint(body) else item.marks & body.keys()
        if any(_is_marked(item, body[mark]) for mark in marked):
            return item
    return None


def _is_marked(item: Compiled, value: Any) -> bool:
    """Tell whether a value is what stands under the marks of a shape."""
    kinds = _MARKED.get(item.shape.marked)
    return type(value) in kinds if kinds else type(value) is not bool


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
    if type(value) is int and 0 <= value <= MAX_COUNT:
        return value
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


def read_counts(record: Any, tree: PathTree) -> tuple[Counts, set[str]]:
    """Return the counts that stand at the places of a table, and flags.

    Where several places state one count, the first counts of a side, and the larger of a part: a writer that knows a
    part in one place leaves 0 in the other. Places that differ are flagged.

    Raises:
        Refusal: ``bad_count`` or ``count_out_of_range``.
    """
    counts: Counts = {}
    flags: set[str] = set()
    if type(record) is dict:
        _collect(record, tree, counts, {}, flags, read_count)
    for name, side in OTHERWISE.items():
        if name in counts:
            counts.setdefault(side, counts.pop(name))
    return counts, flags


def _collect(
    record: Mapping[str, Any],
    tree: PathTree,
    counts: dict[str, N],
    ranks: dict[str, int],
    flags: set[str],
    read: Callable[[Any, str], N | None],
) -> None:
    get = record.get
    for key, columns in tree.fields:
        value = get(key)
        if type(value) is dict and any(key == part for part, _ in tree.parts):
            continue  # one writer has a count there, another what it is made of
        for name, rank in columns if value is not None and value != "" else ():
            number = read(value, name)
            before = counts.get(name)
            if number is None or number == before:
                continue
            if before is not None:
                flags.add(AMBIGUOUS)
                first = ranks[name] < rank
                if before > number if name not in SIDES else before and (first or not number):
                    continue
            counts[name], ranks[name] = number, rank
    for key, part in tree.parts:
        below = get(key)
        if type(below) is list:
            below = {str(position): item for position, item in enumerate(below[:MAX_POSITIONS])}
        if type(below) is dict and below:
            _collect(below, part, counts, ranks, flags, read)


def merge_readings(found: Reading, other: Reading) -> None:
    """Fill what the readings of a call so far leave open from one more; flag it where they differ.

    Where both state the same sides, the larger of each part counts. A prompt that leaves out the caches which another
    reading knows is no other prompt.
    """
    usage, more = found.usage, other.usage
    found.unread += other.unread
    found.flags |= other.flags
    if usage is None or more is None or (is_zero(usage) and has_tokens(usage) and not is_zero(more)):
        found.flags |= set() if usage is None else {AMBIGUOUS}
        found.usage, found.iterations = more, other.iterations
        return
    if _has_cache(more) and not _has_cache(usage) and _uncached(more) == (usage.prompt_tokens, usage.completion_tokens):
        found.usage, found.iterations = more, other.iterations
        return
    sides = [(getattr(usage, side), getattr(more, side)) for side in SIDES]
    if any(None not in pair and pair[0] != pair[1] for pair in sides):
        found.flags.add(AMBIGUOUS)
    elif not found.iterations:
        for name in USAGE_COUNTS:
            own, stated = getattr(usage, name), getattr(more, name)
            if stated is not None and own != stated:
                setattr(usage, name, max(own or 0, stated))
                if own is not None:
                    found.flags.add(AMBIGUOUS)


def add_usages(usages: Iterable[Usage]) -> Usage:
    """Sum usages; a count that none of them states stays None."""
    sums: dict[str, Any] = {}
    units: dict[str, Decimal] = {}
    for usage in usages:
        for name in USAGE_COUNTS:
            value = getattr(usage, name)
            if value is not None:
                sums[name] = sums.get(name, 0) + value
        for unit, quantity in (usage.billed_units or {}).items():
            units[unit] = units.get(unit, Decimal(0)) + quantity
    total = Usage(**sums)
    total.billed_units = units or None
    return total


def _read_shape(body: Mapping[str, Any], compiled: Compiled, model: str = "", *, scan: bool = True) -> Reading:
    shape = compiled.shape
    counts, flags = read_counts(body, compiled.counts)
    unread = unread_keys(body, compiled.known) if scan else []
    for labelled in shape.lists:
        unread += _read_list(follow(body, parse_path(labelled.path)), labelled, counts)
    for key in shape.extra_prompt:
        extra = read_count(body.get(key, 0) or 0, key)
        if extra:
            counts["prompt_tokens"] = counts.get("prompt_tokens", 0) + extra
    usage, found = settle_counts(
        counts, prompt=shape.prompt, reasoning=shape.reasoning, model=model, total_decides=shape.total_decides
    )
    if compiled.unit_keys and not compiled.unit_keys.isdisjoint(body):
        units: dict[str, Decimal] = {}
        _collect(body, compiled.units, units, {}, found, read_quantity)
        usage.billed_units = settle_searches(drop_zeros(units), body, model) or None
    if has_tokens(usage) or usage.billed_units:
        return Reading(usage=usage, flags=flags | found, unread=unread)
    if not any(counts.values()):
        return Reading(unread=unread)
    parts = unread_keys(body, _NOTHING, like=True) if scan else [key for key in body if key in compiled.known]
    return Reading(unread=parts or sorted(counts))  # parts of a side that nothing states


def _read_list(entries: Any, labelled: Labelled, counts: Counts) -> list[str]:
    """Add up the counts of a list; return its labels that nobody knows."""
    unread = []
    for entry in entries if type(entries) is list else ():
        if type(entry) is not dict:
            continue
        label, value = str(entry.get(labelled.label)), entry.get(labelled.number, "")
        name = labelled.counts.get(label)
        number = read_count(value, name) if name else None
        if name and number is not None:
            counts[name] = counts.get(name, 0) + number
        elif not name and type(value) is int and value and label not in labelled.noted:
            unread.append(f"{labelled.path}.{label}")
    return unread


def _read_iterations(entries: list[Any], top: Reading) -> Reading:
    """Read Anthropic's usage.iterations: the top level leaves out compactions and other models' runs.

    Of a request that fell back to another model, attempts without output are not billed.
    Source: https://platform.claude.com/docs/en/build-with-claude/refusals-and-fallback
    """
    runs: list[Usage] = []
    own: list[Usage] = []
    fell_back = any(type(entry) is dict and entry.get("type") == "fallback_message" for entry in entries)
    for entry in entries:
        compiled = shape_of(entry)
        if compiled is not None:
            reading = _read_shape(entry, compiled)
            run = reading.usage
            top.flags |= reading.flags
            top.unread += reading.unread
            if run is not None and has_tokens(run):
                run.model = entry.get("model") if type(entry.get("model")) is str else None
                runs += [] if fell_back and run.completion_tokens == 0 else [run]
                own += [run] if entry.get("type", "message") == "message" else []
    if not runs:
        return top
    if top.usage and not any(_have_same_sides(top.usage, add_usages(some)) for some in (runs, own)):
        top.flags.add(AMBIGUOUS)
    if top.usage and top.usage.billed_units and not any(run.billed_units for run in runs):
        runs[0].billed_units = top.usage.billed_units
    single = len(runs) == 1 and runs[0].model is None
    return Reading(
        usage=add_usages(runs), iterations=[] if single else runs, flags=top.flags, unread=top.unread
    )


def _have_same_sides(one: Usage, other: Usage) -> bool:
    return (one.prompt_tokens, one.completion_tokens) == (other.prompt_tokens, other.completion_tokens)


def _has_cache(usage: Usage) -> bool:
    return (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) != (None, None)


def _uncached(usage: Usage) -> tuple[int | None, int | None]:
    """Return the sides without what was read from and written to a cache."""
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return (None if usage.prompt_tokens is None else usage.prompt_tokens - cached), usage.completion_tokens
