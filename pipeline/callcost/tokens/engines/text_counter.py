"""Counts the texts of one worker: each distinct text once, in the place that its size asks for, with a memory.

Texts up to the size limit are counted here by the fastest engine that is trusted, in batches; larger ones by the
helper of the oversize worker, each within a deadline. Counts of texts that come again and again are kept from window to
window and from task to task. A count is the same wherever and whenever it was made; only whether a large text is
over its time depends on the machine, and one that was over it is not tried again. What the texts are of is left to
stages/count/missing_usage.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache
from hashlib import blake2b

from callcost.tables import Counting
from callcost.tokens.engines.encoders import Encoder, load_encoder
from callcost.tokens.engines.oversize_worker import ITEM_LIMIT_BYTES, OversizeWorker, count_in_threads, is_oversize
from callcost.tokens.engines.verified_fast import TrustedEncoder, load_counter
from callcost.tokens.engines.vocabularies import find_vocabulary, installed

CACHE_CHARS = 16 * 2**20  # of texts of one vocabulary whose counts are kept
_SURELY_SMALL = ITEM_LIMIT_BYTES // 4  # characters
CACHED_TEXT_SHARE = 64  # a text longer than this part of the cache would push out too many others

Counts = dict[str, int | None]  # text -> tokens; None: it timed out


class FrequentTexts:
    """Counts of texts that may come again (system prompts, tools, what chats resend); the least used go first."""

    def __init__(self, limit: int = CACHE_CHARS) -> None:
        self._limit = limit
        self._held = 0
        self._counts: dict[str, int] = {}

    def find(self, texts: Iterable[str]) -> dict[str, int]:
        """Return the counts of those texts that are known."""
        known = self._counts
        found = {text: known[text] for text in texts if text in known}
        for text in found:
            del known[text]
        known.update(found)  # now the most recently used
        return found

    def keep(self, counts: Mapping[str, int]) -> None:
        """Remember counts; the last are forgotten last."""
        longest = self._limit // CACHED_TEXT_SHARE
        known = self._counts
        new = {text: count for text, count in counts.items() if len(text) <= longest and text not in known}
        known.update(new)
        self._held += sum(map(len, new))
        oldest = []
        for text in known:
            if self._held <= self._limit:
                break
            oldest.append(text)
            self._held -= len(text)
        for text in oldest:
            del known[text]


@lru_cache(maxsize=64)
def frequent_texts(engine: str, vocabulary: str, limit: int) -> FrequentTexts:
    """Return the process's one memory of what an engine counted with a vocabulary."""
    return FrequentTexts(limit)


def _mismatches_of(encoder: Encoder) -> int:
    return encoder.mismatches if isinstance(encoder, TrustedEncoder) else 0


class TextCounter:
    """The counting engines of one worker, with what it remembers; a context manager that leaves nothing behind.

    Args:
        item_timeout: seconds that an item over the size limit may take; 0: no limit.
        threads: number of threads that count inside this process.
        fast: use a faster engine where one is installed; what it counts is checked.
        ample: whether much text will come, so that a faster engine is loaded sooner.
        cache_chars: characters of the texts of one vocabulary whose counts are remembered.
    """

    def __init__(
        self,
        *,
        item_timeout: float = 5.0,
        threads: int = 1,
        fast: bool = True,
        ample: bool = False,
        cache_chars: int = CACHE_CHARS,
    ) -> None:
        self._load = load_counter if fast else load_encoder
        self._ample = ample
        self._item_timeout = item_timeout
        self._threads = ThreadPoolExecutor(threads, "count") if threads > 1 else None
        self._worker = OversizeWorker()
        self._cache_chars = cache_chars
        self._large: dict[tuple[str, bytes], int | None] = {}  # by digest: the texts would fill the memory
        self._encoders: dict[str, Encoder] = {}
        self._trusting: set[TrustedEncoder] = set()  # whose fast engine was not refuted when it was met here
        self._texts = self._hits = 0

    @cached_property
    def available(self) -> frozenset[str]:
        """The names of the vocabularies that are installed beside the bundled ones, as when the first was asked for."""
        return installed()

    def __enter__(self) -> TextCounter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the helper process and the threads."""
        self._worker.close()
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)

    def count(self, vocabulary: str, texts: Collection[str]) -> Counts:
        """Count distinct texts.

        Args:
            vocabulary: name of the vocabulary.
            texts: distinct texts.

        Returns:
            The tokens of each; None for an item that timed out.
        """
        encoder = self._encoder(vocabulary)
        counts: Counts = {**self._memory(encoder).find(texts)}
        self._hits += len(counts)
        fresh = [text for text in texts if text not in counts] if counts else list(texts)
        long = [text for text in fresh if len(text) > _SURELY_SMALL] if self._item_timeout else []
        large = dict.fromkeys(filter(is_oversize, long))
        small = [text for text in fresh if text not in large] if large else fresh
        doubts = _mismatches_of(encoder)
        found = dict(zip(small, self._count_small(encoder, small), strict=True))
        counts.update(found)
        counts.update((text, self._count_large(vocabulary, text)) for text in large)
        self._texts += len(fresh)
        if _mismatches_of(encoder) == doubts:  # else some may be of an engine that is wrong
            self._memory(encoder).keep(found)
        return counts

    def stats(self) -> Counting:
        """Return what counted, and what became of it."""
        encoders = self._encoders.values()
        trusted = [encoder for encoder in encoders if isinstance(encoder, TrustedEncoder)]
        return Counting(
            engines={encoder.engine for encoder in [*encoders, *(one.reference for one in trusted)]},
            vocabularies={name: find_vocabulary(name).sha256 for name in sorted(self._encoders)},
            texts=self._texts,
            cache_hits=self._hits,
            rechecked=sum(one.rechecked for one in trusted),
            mismatches=sum(one.mismatches for one in trusted),
            doubtful=sum(one.refuted for one in self._trusting),
        )

    def _memory(self, encoder: Encoder) -> FrequentTexts:
        """Return what is remembered of the engine that counts now; a faster one may have come with the last texts."""
        return frequent_texts(encoder.counting_engine, encoder.vocabulary.name, self._cache_chars)

    def _encoder(self, vocabulary: str) -> Encoder:
        encoder = self._encoders.get(vocabulary)
        if encoder is None:
            encoder = self._encoders[vocabulary] = self._load(vocabulary)
            if self._ample and isinstance(encoder, TrustedEncoder):
                encoder.hasten()
        if isinstance(encoder, TrustedEncoder) and not encoder.refuted:
            self._trusting.add(encoder)
        return encoder

    def _count_small(self, encoder: Encoder, texts: list[str]) -> list[int]:
        if self._threads is None or len(texts) < 2:
            return encoder.count(texts)
        return count_in_threads(encoder, texts, self._threads)

    def _count_large(self, vocabulary: str, text: str) -> int | None:
        key = vocabulary, blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if key not in self._large:
            self._large[key] = self._worker.count(vocabulary, text, self._item_timeout)
        return self._large[key]
