"""Counts as a source states them to the canonical ``Usage``: what stands inside what, and what contradicts what.

Sources differ in whether a part (cache reads, cache writes, reasoning) stands inside its side or beside it. Two
identities decide, for each part by itself: a stated total is the sum of the sides and of what stands beside them, and
no part is larger than the side that it stands in. Where they leave a choice, the reading that the source documents is
taken; where nothing fits, the reading that comes nearest, and the call is flagged.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from callcost.tables import Usage

INCONSISTENT = "inconsistent_usage"  # the counts contradict each other
AMBIGUOUS = "ambiguous_usage"  # two readings fit, or two places state one count and differ
SIDES = PROMPT, COMPLETION, TOTAL = ("prompt_tokens", "completion_tokens", "total_tokens")
READ, WRITTEN, REASONING = "cache_read_input_tokens", "cache_creation_input_tokens", "reasoning_tokens"
_WRITES = ("cache_write_1h_tokens", "cache_write_5m_tokens")
_CACHE = (READ, WRITTEN, *_WRITES)
MODALITIES = ("text", "audio", "image", "video")
# A count that stands inside another; cache reads and writes share the prompt and are fitted in together.
_WHOLES = (
    {f"{kind}_input_tokens": PROMPT for kind in MODALITIES}
    | {f"{kind}_output_tokens": COMPLETION for kind in MODALITIES}
    | {f"cache_read_{kind}_tokens": READ for kind in MODALITIES}
    | {REASONING: COMPLETION, "accepted_prediction_tokens": COMPLETION, "rejected_prediction_tokens": COMPLETION}
)
# Counts that are given by their parts where these are stated alone.
_SUMS = {WRITTEN: _WRITES, READ: tuple(f"cache_read_{kind}_tokens" for kind in MODALITIES)}
PARTS_OF_PARTS = frozenset(part for parts in _SUMS.values() for part in parts)
# (counts, the count that they stand in together): where all of these hold, nothing is changed.
SHARES = (
    *(((name,), whole) for name, whole in _WHOLES.items()),
    ((READ, WRITTEN), PROMPT),
    *((parts, whole) for whole, parts in _SUMS.items()),
)
_PREDICTIONS = ("accepted_prediction_tokens", "rejected_prediction_tokens")  # of a completion; nobody prices them apart
_BESIDE = ("beside", "apart")  # as reasoning may be documented
_MOVABLE = (REASONING, READ, WRITTEN)
_MOST_PARTS = 8  # that are tried inside and beside
Counts = dict[str, int]


class _Part(NamedTuple):
    """A part of a side that may stand inside it or beside it.

    Attributes:
        name: of the count.
        side: PROMPT or COMPLETION.
        tokens: how many they are.
        beside: whether the source documents that it stands beside.
        totalled: whether the total holds it where it stands beside.
    """

    name: str
    side: str
    tokens: int
    beside: bool
    totalled: bool


Reading = tuple[bool, ...]  # of each part, whether it stands beside its side


def settle_counts(
    counts: Counts,
    *,
    prompt: str = "inclusive",
    reasoning: str = "inside",
    model: str = "",
    beside: Collection[str] = (),
    total_decides: bool = True,
) -> tuple[Usage, set[str]]:
    """Put counts as stated into the canonical meaning.

    Args:
        counts: canonical names, in the meaning of their source.
        prompt: as documented, "inclusive" or "exclusive" of cache reads and writes.
        reasoning: as documented, "inside" the completion count, "beside" it, "apart" from it and from the total, too;
            or "within" it whatever the numbers say.
        model: who answered; Gemini behind OpenAI's spelling states its reasoning in the total alone.
        beside: further parts that stand beside their side, as documented.
        total_decides: whether the total is the provider's own. A writer's own may add up the two sides alone and say
            nothing of the parts beside them.

    Returns:
        The usage, and flags.
    """
    if _is_simple(counts):
        _complete_identity(counts)
        return _usage_of(counts), set()
    stated, flags = counts.get(TOTAL), _complete_wholes(counts)
    own = [*((READ, WRITTEN) if prompt == "exclusive" else ()), *((REASONING,) if reasoning in _BESIDE else ())]
    documented = [*beside, *own]
    if REASONING in documented and counts.get(REASONING):
        counts.setdefault(COMPLETION, 0)
    parts = _parts_of(counts, documented, reasoning)
    is_plain_sum = stated is not None and stated == counts.get(PROMPT, 0) + counts.get(COMPLETION, 0)
    decides = stated is not None and (total_decides or not is_plain_sum)
    doubtful = is_plain_sum and not (total_decides and beside)
    apart, found = _place(parts, counts, decides=decides, doubtful=doubtful) if parts else (0, set())
    if "gemini" in model and not counts.get(REASONING):
        found |= _add_unnamed_reasoning(counts)
    _complete_identity(counts)
    wrong = decides and counts[TOTAL] - apart != stated
    wrong = _clamp(counts) or wrong
    return _usage_of(counts), flags | found | ({INCONSISTENT} if wrong else set())


def _parts_of(counts: Counts, documented: Collection[str], reasoning: str) -> list[_Part]:
    names = [*_MOVABLE[reasoning == "within" :], *(name for name in documented if name not in _MOVABLE)]
    return [
        _Part(name, _WHOLES.get(name, PROMPT), counts[name], name in documented, reasoning != "apart")
        for name in names
        if counts.get(name) and _WHOLES.get(name, PROMPT) in counts
    ][:_MOST_PARTS]


def _place(parts: Sequence[_Part], counts: Counts, *, decides: bool, doubtful: bool) -> tuple[int, set[str]]:
    """Add to the sides what stands beside them.

    Args:
        parts: what may stand beside.
        counts: changed in place.
        decides: whether the total tells what does.
        doubtful: whether the total is the sum of the sides, and may leave out what stands beside them.

    Returns:
        How much of it the total leaves out, and flags.
    """
    reading, flags = _choose(parts, counts, decides=decides)
    beside = any(reading) or any(part.beside and part.totalled for part in parts)
    if doubtful and beside and _fits(parts, (False,) * len(parts), counts):
        flags.add(AMBIGUOUS)
    apart = 0
    for part, is_beside in zip(parts, reading, strict=True):
        if is_beside:
            counts[part.side] += part.tokens
            apart += 0 if part.totalled else part.tokens
    return apart, flags


def _usage_of(counts: Mapping[str, Any]) -> Usage:
    return Usage(**{name: count for name, count in counts.items() if name not in _PREDICTIONS})


def _is_simple(counts: Counts) -> bool:
    """Tell whether no part of a side is stated, or all are 0, and the sides give the total: nothing to settle."""
    prompt, completion, total = map(counts.get, SIDES)
    for name, value in counts.items():
        if name not in SIDES and (value or name in _WRITES):
            return False
    return prompt is not None and completion is not None and (total is None or total == prompt + completion)


def _complete_wholes(counts: Counts) -> set[str]:
    """Give a count the sum of its parts where these are stated alone, or beside a 0."""
    flags = set()
    for whole, names in _SUMS.items():
        parts = [counts[name] for name in names if name in counts]
        if parts and not counts.get(whole):
            flags |= {AMBIGUOUS} if whole in counts and any(parts) else set()
            counts[whole] = sum(parts)
    return flags


def _choose(parts: Sequence[_Part], counts: Counts, *, decides: bool) -> tuple[Reading, set[str]]:
    """Return the reading of the parts that the identities leave, the documented one where they leave it; and flags."""
    documented = tuple(part.beside for part in parts)
    decides = decides and PROMPT in counts and COMPLETION in counts
    sums = counts[PROMPT] + counts[COMPLETION] - counts[TOTAL] if decides else 0

    def excess(reading: Reading) -> int:
        """Return by how much the sum is larger than the total."""
        added = (part.tokens for part, beside in zip(parts, reading, strict=True) if beside and part.totalled)
        return sum(added, sums) if decides else 0

    def distance(reading: Reading) -> tuple[int, int, int, Reading]:
        caches = {beside for part, beside in zip(parts, reading, strict=True) if part.name in _CACHE}
        changed = sum(one != other for one, other in zip(reading, documented, strict=True))
        return abs(excess(reading)), len(caches), changed, reading

    valid = [reading for reading in product((False, True), repeat=len(parts)) if _fits(parts, reading, counts)]
    fitting = [reading for reading in valid if not excess(reading)]
    if documented in valid and (documented in fitting or not fitting):
        return documented, {AMBIGUOUS} if decides and documented in fitting and len(fitting) > 1 else set()
    return min(fitting or valid, key=distance), {AMBIGUOUS} if len(fitting or valid) > 1 else set()


def _fits(parts: Sequence[_Part], reading: Reading, counts: Counts) -> bool:
    """Tell whether what stands inside a side is not larger than it; reads and writes share the prompt."""
    inside = [part for part, beside in zip(parts, reading, strict=True) if not beside]
    cached = sum(part.tokens for part in inside if part.name in _CACHE)
    return cached <= counts.get(PROMPT, cached) and all(part.tokens <= counts[part.side] for part in inside)


def _add_unnamed_reasoning(counts: Counts) -> set[str]:
    """Make what only the total holds reasoning; flag it where that is stated as 0."""
    prompt, completion, total = map(counts.get, SIDES)
    if prompt is not None and completion is not None and total is not None and total > prompt + completion:
        flags = {AMBIGUOUS} if REASONING in counts else set()
        counts[REASONING] = total - prompt - completion
        counts[COMPLETION] = completion + counts[REASONING]
        return flags
    return set()


def _complete_identity(counts: Counts) -> None:
    """Fill the one of prompt, completion and total that the other two give."""
    prompt, completion, total = map(counts.get, SIDES)
    if total is not None and prompt is not None and completion is None:
        completion = counts[COMPLETION] = max(total - prompt, 0)
    elif total is not None and completion is not None and prompt is None:
        prompt = counts[PROMPT] = max(total - completion, 0)
    if prompt is not None and completion is not None:
        counts[TOTAL] = prompt + completion


def _clamp(counts: Counts) -> bool:
    """Cut parts down to their whole; tell whether any was larger."""
    wrong = any(map(counts.get, _CACHE)) and _clamp_cache(counts)
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
    prompt = counts.get(PROMPT)
    read, written = counts.get(READ, 0), counts.get(WRITTEN, 0)
    if prompt is not None:
        read = min(read, prompt)
        written = min(written, prompt - read)
    hour = min(counts.get(_WRITES[0], 0), written)
    minutes = min(counts.get(_WRITES[1], 0), written - hour)
    for name, value in zip(_CACHE, (read, written, hour, minutes), strict=True):
        if name in counts:
            counts[name] = value
    return counts != before
