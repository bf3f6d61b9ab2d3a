"""Fill in the usage that a log does not state: count each distinct text of a window once, then add up per call.

What is stated stays as it is. A side (prompt or completion) that is missing is counted where its text is there and
the call was answered; ``usage_source`` then says so, ``count_method`` and ``count_error`` say how well. The result is
the same whatever the windows, their order or what was counted before; only an item over its time depends on the
machine, and each one is listed. How messages become texts and constants is tokens/' affair, what a count costs
price.py's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from pipeline.tables import Call, Usage
from pipeline.tokens.choice import choose
from pipeline.tokens.encoders import load_encoder
from pipeline.tokens.fast import TrustedEncoder, load_counter
from pipeline.tokens.frames import Frame, total
from pipeline.tokens.messages import frame_completion, frame_prompt
from pipeline.tokens.plain import frame_plain
from pipeline.tokens.pool import OversizeLane, count_in_threads, is_oversize
from pipeline.tokens.vocabularies import find_vocabulary, installed

TIMED_OUT = "timed_out"
METHODS = ("exact", "calibrated", "estimated", TIMED_OUT)  # from the strongest to the weakest
SIDES = ("prompt_tokens", "completion_tokens")
CACHE_CHARS = 16 * 2**20  # of texts whose counts are kept from window to window
CACHED_TEXT_CHARS = CACHE_CHARS // 64  # a longer text would push out too many others

_NOTHING = Usage()
Counts = dict[str, int | None]  # text -> tokens; None: it timed out


class FrequentTexts:
    """Counts of texts that come again and again (system prompts, tools), the least recently used forgotten first."""

    def __init__(self, limit: int = CACHE_CHARS) -> None:
        self.hits = 0
        self._limit = limit
        self._held = 0
        self._counts: dict[tuple[str, str], int] = {}

    def find(self, vocabulary: str, text: str) -> int | None:
        """Return a text's count, if it is known."""
        key = (vocabulary, text)
        count = self._counts.pop(key, None)
        if count is not None:
            self._counts[key] = count  # now the most recently used
            self.hits += 1
        return count

    def keep(self, vocabulary: str, text: str, count: int) -> None:
        """Remember a text's count."""
        if len(text) > CACHED_TEXT_CHARS or (vocabulary, text) in self._counts:
            return
        self._counts[vocabulary, text] = count
        self._held += len(text)
        while self._held > self._limit:
            oldest = next(iter(self._counts))
            del self._counts[oldest]
            self._held -= len(oldest[1])


class TextCounter:
    """The counting engines of one worker, with what it remembers; a context manager that leaves nothing behind.

    Args:
        item_timeout: seconds that an item over the size limit may take; 0: no limit.
        threads: that count inside this process.
        fast: use a faster engine where one is installed; what it counts is checked.
        cache_chars: of texts whose counts are remembered.
    """

    def __init__(
        self, *, item_timeout: float = 5.0, threads: int = 1, fast: bool = True, cache_chars: int = CACHE_CHARS
    ) -> None:
        self.available = installed()
        self._load = load_counter if fast else load_encoder
        self._item_timeout = item_timeout
        self._threads = ThreadPoolExecutor(threads, "count") if threads > 1 else None
        self._lane = OversizeLane()
        self._frequent = FrequentTexts(cache_chars)
        self._vocabularies: set[str] = set()
        self._texts = 0
        self._timed_out: set[tuple[str, int]] = set()

    def __enter__(self) -> TextCounter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the helper process and the threads."""
        self._lane.close()
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)

    def count(self, vocabulary: str, texts: Counter[str]) -> Counts:
        """Count distinct texts.

        Args:
            vocabulary: name of the vocabulary.
            texts: each with how often it occurs in the window.

        Returns:
            The tokens of each; None for an item that timed out.
        """
        self._vocabularies.add(vocabulary)
        counts: Counts = {text: self._frequent.find(vocabulary, text) for text in texts}
        fresh = [text for text, count in counts.items() if count is None]
        large = {text for text in fresh if self._item_timeout and is_oversize(text)}
        small = [text for text in fresh if text not in large] if large else fresh
        counts.update(zip(small, self._count_small(vocabulary, small), strict=True))
        for text in (text for text in fresh if text in large):
            counts[text] = self._lane.count(vocabulary, text, self._item_timeout)
        self._texts += len(fresh)
        self._remember(vocabulary, texts, fresh, counts)
        return counts

    def note_timed_out(self, call: Call) -> None:
        """List a call of which an item timed out."""
        self._timed_out.add((call.source_file, call.source_row))

    def stats(self) -> dict[str, Any]:
        """Say what counted and what became of it, in plain values for a manifest.

        Returns:
            ``engines`` (name and version), ``vocabularies`` (name -> sha256 of the published file), ``texts``
            (distinct, counted), ``cache_hits``, ``rechecked`` and ``mismatches`` (texts that the reference counted
            too, and those it counted differently: where there is any, count again without ``fast``),
            ``timed_out`` ([source_file, source_row] of each).
        """
        used = sorted(self._vocabularies)
        encoders = [self._load(name) for name in used]
        trusted = [encoder for encoder in encoders if isinstance(encoder, TrustedEncoder)]
        return {
            "engines": sorted({encoder.engine for encoder in [*encoders, *(one.reference for one in trusted)]}),
            "vocabularies": {name: find_vocabulary(name).sha256 for name in used},
            "texts": self._texts,
            "cache_hits": self._frequent.hits,
            "rechecked": sum(one.rechecked for one in trusted),
            "mismatches": sum(one.mismatches for one in trusted),
            "timed_out": [list(item) for item in sorted(self._timed_out)],
        }

    def _count_small(self, vocabulary: str, texts: list[str]) -> list[int]:
        encoder = self._load(vocabulary)
        if self._threads is None or len(texts) < 2:
            return encoder.count(texts)
        return count_in_threads(encoder, texts, self._threads)

    def _remember(self, vocabulary: str, texts: Counter[str], fresh: list[str], counts: Counts) -> None:
        again = sorted((text for text in fresh if texts[text] > 1), key=texts.__getitem__)
        for text in again:  # the most frequent last, to be forgotten last
            count = counts[text]
            if count is not None:
                self._frequent.keep(vocabulary, text, count)


class _Counted(NamedTuple):
    """What counting one side of a call came to."""

    tokens: int
    method: str
    error: float


def count_missing(calls: Sequence[Call], counter: TextCounter) -> None:
    """Settle the usage of a window's calls: count what is not stated, in place.

    Args:
        calls: of one window; ``usage``, ``usage_source``, ``count_method`` and ``count_error`` are filled in.
        counter: of this worker.
    """
    work = [(call, _missing_sides(call, counter.available)) for call in calls]
    wanted: dict[str, list[str]] = {}
    for _, frames in work:
        for frame in frames.values():
            wanted.setdefault(frame.vocabulary, []).extend([part.text for part in frame.parts])
    counts = {vocabulary: counter.count(vocabulary, Counter(texts)) for vocabulary, texts in wanted.items()}
    for call, frames in work:
        settle_usage(call, {side: _add_up(frame, counts[frame.vocabulary]) for side, frame in frames.items()})
        if call.usage_source == TIMED_OUT:
            counter.note_timed_out(call)


def _missing_sides(call: Call, available: frozenset[str]) -> dict[str, Frame]:
    """Return the sides of a call that nothing states and whose text is there, each with its frame."""
    if call.usage is not None:
        _derive_sides(call.usage, call.endpoint)
    usage = call.usage or _NOTHING
    sides = SIDES[:1] if call.endpoint == "embeddings" else SIDES
    missing = [side for side in sides if getattr(usage, side) is None]
    otherwise_billed = bool(call.iterations) or (len(missing) == len(sides) and bool(usage.billed_units))
    answered = call.status not in {"failure", "cache_hit"}
    if not missing or otherwise_billed or not answered or call.text_missing is not None:
        return {}
    choice = choose(call.model, call.provider, call.endpoint, available)
    if len(missing) == len(SIDES):
        plain = frame_plain(choice, call.endpoint, call.request, call.response, call.started_at)
        if plain:
            return dict(zip(SIDES, plain, strict=True))
    frames = {
        side: frame_prompt(choice, call.endpoint, call.request, call.response, call.started_at)
        if side == "prompt_tokens"
        else frame_completion(choice, call.endpoint, call.response, call.request, call.started_at)
        for side in missing
    }
    return {side: frame for side, frame in frames.items() if frame is not None}


def _derive_sides(usage: Usage, endpoint: str | None) -> None:
    """Fill in what follows from what is stated: an embedding has no completion, a total and one side have the other."""
    prompt, completion, whole = usage.prompt_tokens, usage.completion_tokens, usage.total_tokens
    if endpoint == "embeddings" and completion is None and (prompt is not None or whole is not None):
        completion = usage.completion_tokens = 0
    if whole is None:
        return
    if prompt is None and completion is not None and whole >= completion:
        usage.prompt_tokens = whole - completion
    elif completion is None and prompt is not None and whole >= prompt:
        usage.completion_tokens = whole - prompt


def _add_up(frame: Frame, counts: Counts) -> _Counted:
    tokens = [counts[part.text] for part in frame.parts]
    tally = total(frame, [count or 0 for count in tokens])
    if None in tokens:
        return _Counted(tally, TIMED_OUT, 1.0)
    return _Counted(tally, frame.method, frame.error)


def settle_usage(call: Call, counted: Mapping[str, tuple[int, str, float]]) -> None:
    """Write counted sides into a call's usage and say where its usage is from.

    Args:
        call: changed in place.
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
        call.count_method = max((method for _, method, _ in counted.values()), key=METHODS.index)
        call.count_error = max(error for _, _, error in counted.values())
        _derive_sides(usage, call.endpoint)
        call.usage_source = "partial" if stated else "counted"
        if call.count_method == TIMED_OUT:
            call.usage_source = TIMED_OUT
    else:
        call.usage_source = (call.usage_source or "reported") if stated else "absent"
    if usage.total_tokens is None and usage.prompt_tokens is not None and usage.completion_tokens is not None:
        usage.total_tokens = usage.prompt_tokens + usage.completion_tokens


def _states_a_charge(usage: Usage | None) -> bool:
    """Say whether a usage states something that has a price; a total alone has none."""
    if usage is None:
        return False
    return usage.prompt_tokens is not None or usage.completion_tokens is not None or bool(usage.billed_units)
