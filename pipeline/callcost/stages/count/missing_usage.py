"""Fill in the usage that a log does not state: count each distinct text of a window once, then add up per call.

What is stated stays as it is. A side (prompt or completion) that is missing is counted where its text is there and
the call was answered; ``usage_source`` then says so, ``count_method`` and ``count_error`` say how well. The result is
the same whatever the windows, their order or what was counted before; only an item over its time depends on the
machine, and each one is listed. How messages become texts and constants is tokens/' affair, what a count costs
pricing/'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from callcost.logs.record.media_calls import NOT_COUNTED, WITHOUT_ANSWER_TOKENS
from callcost.settings import ReportOptions
from callcost.tables import Call, Usage
from callcost.tokens.engines.text_counter import Counts, TextCounter
from callcost.tokens.frame import Frame, total
from callcost.tokens.framing.messages import frame_completion, frame_prompt
from callcost.tokens.framing.plain_chat import frame_plain
from callcost.tokens.model_families import choose

TIMED_OUT = "timed_out"
METHODS = ("exact", "calibrated", "estimated", TIMED_OUT)  # from the strongest to the weakest
SIDES = ("prompt_tokens", "completion_tokens")
AMPLE_BYTES = 32 << 20  # of a task; so much holds more text than is worth sparing a faster engine

_NOTHING = Usage()


class SideCount(NamedTuple):
    """What counting one side of a call came to."""

    tokens: int
    method: str
    error: float


def open_counter(options: ReportOptions, size: int = 0) -> TextCounter:
    """Return the counter of one task of a run.

    Args:
        options: options of the run.
        size: bytes that the task reads.
    """
    work = options.work
    return TextCounter(
        item_timeout=options.count.item_timeout, threads=work.threads, fast=work.fast, ample=size >= AMPLE_BYTES
    )


def count_missing(calls: Sequence[Call], counter: TextCounter) -> None:
    """Settle the usage of a window's calls: count what is not stated, in place.

    Args:
        calls: calls of one window; ``usage``, ``usage_source``, ``count_method`` and ``count_error`` are filled in.
        counter: counter of this worker.
    """
    frames = [frame_sides(call, missing_sides(call), counter.available) for call in calls]
    for call, counted in zip(calls, count_frames(frames, counter), strict=True):
        settle_usage(call, counted)


def count_frames(frames: Sequence[Mapping[str, Frame]], counter: TextCounter) -> list[dict[str, SideCount]]:
    """Count the sides of a window's calls, each distinct text once.

    Args:
        frames: for each call, side -> its frame.
        counter: counter of this worker.

    Returns:
        What each came to, in the same order.
    """
    wanted: dict[str, list[str]] = {}
    for sides in frames:
        for frame in sides.values():
            wanted.setdefault(frame.vocabulary, []).extend(frame.texts)
    counts = {vocabulary: counter.count(vocabulary, dict.fromkeys(texts)) for vocabulary, texts in wanted.items()}
    return [{side: _add_up(frame, counts[frame.vocabulary]) for side, frame in sides.items()} for sides in frames]


def missing_sides(call: Call) -> Sequence[str]:
    """Return the sides of a call that are billed by the token, that nothing states and whose text is there."""
    usage = call.usage
    if usage is not None:
        _derive_sides(usage, call.endpoint)
    sides = SIDES[:1] if call.endpoint in WITHOUT_ANSWER_TOKENS else SIDES
    missing = sides if usage is None else [side for side in sides if getattr(usage, side) is None]
    otherwise_billed = bool(call.iterations) or (len(missing) == len(sides) and bool((usage or _NOTHING).billed_units))
    answered = call.status not in {"failure", "cache_hit"} and call.endpoint not in NOT_COUNTED
    return () if otherwise_billed or not answered or call.text_missing is not None else missing


def frame_sides(call: Call, sides: Sequence[str], available: frozenset[str]) -> dict[str, Frame]:
    """Return the frames of those sides of a call that hold something to count.

    Args:
        call: the call with its text.
        sides: names of the sides that are wanted.
        available: names of the vocabularies that are installed beside the bundled ones.
    """
    choice = choose(call.model, call.provider, call.endpoint, available)
    if len(sides) == len(SIDES):
        plain = frame_plain(choice, call.endpoint, call.request, call.response, call.started_at)
        if plain:
            return dict(zip(SIDES, plain, strict=True))
    frames = {
        side: frame_prompt(choice, call.endpoint, call.request, call.response, call.started_at)
        if side == "prompt_tokens"
        else frame_completion(choice, call.endpoint, call.response, call.request, call.started_at)
        for side in sides
    }
    return {side: frame for side, frame in frames.items() if frame is not None}


def _derive_sides(usage: Usage, endpoint: str | None) -> None:
    """Fill in what follows from what is stated: an embedding has no completion, a total and one side have the other."""
    prompt, completion, whole = usage.prompt_tokens, usage.completion_tokens, usage.total_tokens
    if endpoint in WITHOUT_ANSWER_TOKENS and completion is None and (prompt is not None or whole is not None):
        completion = usage.completion_tokens = 0
    if whole is None:
        return
    if prompt is None and completion is not None and whole >= completion:
        usage.prompt_tokens = whole - completion
    elif completion is None and prompt is not None and whole >= prompt:
        usage.completion_tokens = whole - prompt


def _add_up(frame: Frame, counts: Counts) -> SideCount:
    tokens = list(map(counts.__getitem__, frame.texts))
    if None in tokens:
        return SideCount(total(frame, [count or 0 for count in tokens]), TIMED_OUT, 1.0)
    return SideCount(total(frame, tokens), frame.method, frame.error)  # type: ignore[arg-type]  # None is not in it


def settle_usage(call: Call, counted: Mapping[str, tuple[int, str, float]]) -> None:
    """Write counted sides into a call's usage and say where its usage is from.

    Args:
        call: call that is changed in place.
        counted: side -> (tokens, method, expected relative error).
    """
    stated = bool(call.iterations) or _states_a_charge(call.usage)
    if call.usage is None and (counted or call.iterations):
        call.usage = Usage()
    usage = call.usage
    if usage is None:
        call.usage_source = "absent"
        return
    for side, (tokens, _, _) in counted.items():
        hidden = (usage.reasoning_tokens or 0) if side == "completion_tokens" else 0  # stated, but in no text
        setattr(usage, side, tokens + hidden)
    if counted:
        call.count_method, call.count_error = join_counts([(method, error) for _, method, error in counted.values()])
        _derive_sides(usage, call.endpoint)
        call.usage_source = "partial" if stated else "counted"
        if call.count_method == TIMED_OUT:
            call.usage_source = TIMED_OUT
    else:
        call.usage_source = (call.usage_source or "reported") if stated else "absent"
    if usage.total_tokens is None and usage.prompt_tokens is not None and usage.completion_tokens is not None:
        usage.total_tokens = usage.prompt_tokens + usage.completion_tokens


def join_counts(sides: Sequence[tuple[str, float]]) -> tuple[str, float]:
    """Return how well the sides of a call are counted together: the weakest method and the largest error."""
    return max((method for method, _ in sides), key=METHODS.index), max(error for _, error in sides)


def _states_a_charge(usage: Usage | None) -> bool:
    """Say whether a usage states something that has a price; a total alone has none."""
    if usage is None:
        return False
    return usage.prompt_tokens is not None or usage.completion_tokens is not None or bool(usage.billed_units)
