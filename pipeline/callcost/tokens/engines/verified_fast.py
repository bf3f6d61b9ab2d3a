"""Faster engines where they are installed, each checked by the reference engine.

``pip install 'callcost[fast]'`` brings toktok-rs (o200k and cl100k) and gigatoken (a tokenizer.json); both only count.
Each loads in the time that the reference takes for some megabytes, so that little text is left to the reference.
Neither is taken at its word. Texts with code points on which they are known to differ never reach them; before the
first count some thousand awkward strings must come out as the reference has them; and of all texts one in a thousand,
the same ones in every run, is counted by the reference too. On any difference the reference counts from there on, and
``mismatches`` says that the job is to be counted again without the fast engine.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import itertools
import json
import logging
import re
import threading
import zlib
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, Protocol

from callcost.tokens.engines.encoders import Encoder, load_encoder
from callcost.tokens.engines.oversize_worker import is_oversize
from callcost.tokens.engines.vocabularies import ALIASES, Vocabulary, read_file

CHECKED_ONE_IN = 1000
WORTH_CHARS = 4_000_000  # the reference counts them in the time that an engine takes to load
AMPLE_CHARS = 200_000  # where there is much text: a vocabulary of which there is less may be a rare one
RECYCLE_CHARS = 400_000_000  # of texts, after which an engine with an unbounded cache is made anew
_UNICODE_FORMS = frozenset({"NFC", "NFD", "NFKC", "NFKD"})
TOKTOK = frozenset({"o200k_base", "cl100k_base"})

logger = logging.getLogger("callcost")

# Letters, marks and digits that are new in Unicode 17 (the fast engines know them, tiktoken does not), the long s
# (which tiktoken takes for the s of 's), and what is no character at all: first and last of each range.
_RANGES = """
017f 017f 088f 088f 0c5c 0c5c 0cdc 0cdc 1acf 1add 1ae0 1aeb a7ce a7cf a7d2 a7d2 a7d4 a7d4 a7f1 a7f1 d800 dfff
10940 10959 10ec5 10ec7 10efa 10efb 11b60 11b67 11db0 11ddb 11de0 11de9 16ea0 16eb8 16ebb 16ed3 16ff2 16ff6 187f8 187ff
18d09 18d1e 18d80 18df2 1e6c0 1e6de 1e6e0 1e6f5 1e6fe 1e6ff 2b73a 2b73f 2cea2 2cead 323b0 33479
"""
_AWKWARD = (
    *("a", "B", "ǅ", "ʰ", "é", "e\u0301", "ß", "中", "か", "한", "अ", "ب", "7", "½", "٣", "'s", "'LL", "'", "!", "/"),
    *("...", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2028", "\x00", "\ufeff", "\u200d", "🙂"),
    *("👩\u200d👧", "<|endoftext|>", "_x"),
)


class FastCounter(Protocol):
    """An engine that counts and does nothing else."""

    name: str  # with its version

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text; special tokens in it are text."""
        ...


class ToktokCounter:
    """toktok-rs: OpenAI's encodings, compiled in."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.name = f"toktok-rs {version('toktok-rs')}"
        self._encoding = vocabulary.name
        self._count: Callable[..., list[int]] = importlib.import_module("toktok").batch_count  # optional, and 8 MB

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text."""
        return self._count(texts, self._encoding, threads=1)


class GigatokenCounter:
    """gigatoken: a tokenizer.json. Its cache grows with every new word, so that it is made anew now and then."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.name = f"gigatoken {version('gigatoken')}"
        content = json.loads(read_file(vocabulary))
        added = content.get("added_tokens") or []
        content["added_tokens"] = [token for token in added if not token.get("special")]  # special tokens are text
        self._normalizer: Any = None
        form = (content.get("normalizer") or {}).get("type")
        if form in _UNICODE_FORMS:  # the reference's own code does it: Python may know another Unicode
            self._normalizer = getattr(importlib.import_module("tokenizers.normalizers"), form)()
            content["normalizer"] = None
        self._content = json.dumps(content)
        self._make = importlib.import_module("gigatoken").Tokenizer.from_json  # optional, and 13 MB
        self._turn = threading.Lock()  # one object serves one thread at a time
        self._seen = 0
        self._tokenizer: Any = None

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text."""
        form = self._normalizer
        ready = [text if form is None or text.isascii() else form.normalize_str(text) for text in texts]
        with self._turn:
            self._seen += sum(map(len, texts))
            if self._tokenizer is None or self._seen > RECYCLE_CHARS:
                self._tokenizer = self._make(self._content)
                self._seen = 0
            return [len(ids) for ids in self._tokenizer.encode_batch_list(ready, parallel=False)]


class TrustedEncoder(Encoder):
    """Counts with a fast engine for as long as it agrees with the reference; encodes and decodes with the reference.

    Args:
        reference: the encoder that is right by definition.
        make: function that returns the fast engine.
        worth: characters of text that the reference counts before the fast engine is loaded.

    Attributes:
        reference: the encoder that is right by definition.
        rechecked: number of texts that both engines counted.
        mismatches: number of those that differed; from the first on, the reference counts.
        refuted: whether a text that differed was met after the fast engine had begun to count.
    """

    def __init__(self, reference: Encoder, make: Callable[[], FastCounter], worth: int = 0) -> None:
        self.reference = reference
        self.vocabulary = reference.vocabulary
        self.engine = reference.engine
        self.rechecked = 0
        self.mismatches = 0
        self.refuted = False
        self._make = make
        self._left = worth
        self._making = threading.Lock()
        self._fast: FastCounter | None = None
        if not worth:
            self._engine_if_due(())

    @property
    def counting_engine(self) -> str:
        """The engine that counts now."""
        return self.reference.engine if self.mismatches else self.engine

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text."""
        fast = self._fast or self._engine_if_due(texts)
        if fast is None or self.mismatches:
            return self.reference.count(texts)
        fit = [text for text in texts if text.isascii() or is_fit(text)]
        if not self._agrees(fast, sample_of(fit)):
            self.refuted = True
            return self.reference.count(texts)
        found = iter(fast.count(fit))
        if len(fit) == len(texts):
            return list(found)
        return [next(found) if is_fit(text) else self.reference.count([text])[0] for text in texts]

    def hasten(self) -> None:
        """Let the fast engine come sooner."""
        with self._making:
            self._left = min(self._left, AMPLE_CHARS)

    def _tokenizer(self) -> Any:
        return self.reference._tokenizer()

    def _encode_slice(self, text: str) -> Any:
        return self.reference._encode_slice(text)

    def _engine_if_due(self, texts: Sequence[str]) -> FastCounter | None:
        """Make and try the engine as soon as it is worth it; None before."""
        with self._making:
            self._left -= sum(map(len, texts))
            if self._fast is None and self._left <= 0:
                fast = self._make()
                self.engine = fast.name
                self._agrees(fast, awkward_strings())
                self._fast = fast
            return self._fast

    def _agrees(self, fast: FastCounter, texts: Sequence[str]) -> bool:
        """Count texts with both engines and note where they differ."""
        if not texts:
            return True
        pairs = zip(fast.count(texts), self.reference.count(texts), strict=True)
        differ = sum(counted != right for counted, right in pairs)
        self.rechecked += len(texts)
        self.mismatches += differ
        if differ:
            logger.warning("%s differs from %s: it is not used any more", fast.name, self.reference.engine)
        return not differ


def awkward_strings() -> list[str]:
    """Return the strings that a fast engine must count as the reference does before it may count anything."""
    pairs = ["".join(pair) for pair in itertools.product(_AWKWARD, repeat=2)]
    return [*pairs, "".join(_AWKWARD) * 3, "x" * 5000, " " * 5000 + "x", "aB1'" * 1000]


def is_fit(text: str) -> bool:
    """Say whether the fast engines are known to count a text as the reference does."""
    return text.isascii() or not _suspect().search(text) or _different().isdisjoint(text)


@functools.cache
def _different() -> frozenset[str]:
    bounds = [int(word, 16) for word in _RANGES.split()]
    pairs = zip(bounds[::2], bounds[1::2], strict=True)
    return frozenset(chr(code) for first, last in pairs for code in range(first, last + 1))


@functools.cache
def _suspect() -> re.Pattern[str]:
    """Return what finds every such character and any other beyond U+FFFF: ten times as fast as looking for each."""
    near = re.escape("".join(sign for sign in _different() if sign < "\U00010000"))
    return re.compile(f"[{near}\U00010000-\U0010ffff]")


def sample_of(texts: Sequence[str]) -> list[str]:
    """Return the sample of some texts that the reference counts too; the same texts in every run.

    Args:
        texts: without lone surrogates.
    """
    sums = map(zlib.crc32, map(str.encode, texts))
    pairs = zip(texts, sums, strict=True)
    return [text for text, found in pairs if found % CHECKED_ONE_IN == 0 and not is_oversize(text)]


_ENGINES: tuple[tuple[str, Callable[[Vocabulary], bool], type[ToktokCounter | GigatokenCounter]], ...] = (
    ("toktok", lambda row: row.name in TOKTOK, ToktokCounter),
    ("gigatoken", lambda row: row.engine == "tokenizers", GigatokenCounter),
)
_loaded: dict[str, Encoder] = {}
_loading = threading.Lock()


def load_counter(name: str) -> Encoder:
    """Return the process's fastest encoder for a vocabulary: a trusted fast engine if one is installed.

    Args:
        name: name of a vocabulary, bundled or installed.

    Raises:
        TokenizerError: there is no such vocabulary, or its file is damaged.
    """
    own = ALIASES.get(name, name)
    with _loading:
        if own not in _loaded:
            reference = load_encoder(own)
            found = (make for module, fits, make in _ENGINES if fits(reference.vocabulary) and _is_installed(module))
            make = next(found, None)
            _loaded[own] = reference
            if make is not None:
                _loaded[own] = TrustedEncoder(reference, functools.partial(make, reference.vocabulary), WORTH_CHARS)
        return _loaded[own]


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
