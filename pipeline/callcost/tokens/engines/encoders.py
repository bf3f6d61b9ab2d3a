"""One face over the engines that turn text into tokens.

An ``Encoder`` counts, encodes and decodes whole strings with one vocabulary. Text is only text: a special token written
in it is counted letter by letter, as providers do with what a user sends. A lone surrogate, which no encoding can
carry, counts as the replacement character. Any string is counted exactly, however long, or takes long: a limit of time
is oversize_worker.py's affair, which vocabulary a model needs model_families.py's, and where the files are
vocabularies.py's.
"""

from __future__ import annotations

import abc
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from callcost.errors import TokenizerError
from callcost.tokens.engines.safe_splits import SLICE_CHARS, blank_runs, slices
from callcost.tokens.engines.vocabularies import ALIASES, Vocabulary, find_vocabulary, read_file, read_ranks

if TYPE_CHECKING:
    import tiktoken
    import tokenizers


class Encoder(abc.ABC):
    """Counts, encodes and decodes with one vocabulary; safe to use from several threads.

    Attributes:
        vocabulary: the row of the vocabulary's index.
        engine: name and version of the library that does the work.
    """

    vocabulary: Vocabulary
    engine: str

    @property
    def counting_engine(self) -> str:
        """The engine that counts now."""
        return self.engine

    @abc.abstractmethod
    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, as a whole string.

        Raises:
            TokenizerError: the engine refuses a text; tiktoken and tokenizers refuse none.
        """

    @abc.abstractmethod
    def encode(self, text: str) -> list[int]:
        """Return the ids of a text's tokens."""

    @abc.abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids; bytes that are no character become the replacement character.

        Raises:
            TokenizerError: an id is not in the vocabulary.
        """

    def slices(self, text: str, size: int = SLICE_CHARS) -> Iterator[str]:
        """Cut a text into slices whose counts add up to the count of the whole, where the vocabulary allows it."""
        return slices(text, size) if self.vocabulary.cuttable else iter((text,))


class RanksEncoder(Encoder):
    """Byte-pair ranks, counted by tiktoken."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        import tiktoken  # noqa: PLC0415 - 40 ms that only counting needs

        self.vocabulary = vocabulary
        self.engine = f"tiktoken {tiktoken.__version__}"
        self._ranks = read_ranks(vocabulary)
        self._encoding = tiktoken.Encoding(
            vocabulary.name,
            pat_str=vocabulary.pattern,
            mergeable_ranks=self._ranks,
            special_tokens=vocabulary.special,  # only decode meets them
        )
        self._whole: tiktoken.Encoding | None = None

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text."""
        encode = self._encoding.encode_ordinary
        return [
            len(encode(text)) if len(text) <= SLICE_CHARS else sum(map(self._count_slice, self.slices(text)))
            for text in texts
        ]

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text's tokens."""
        ids: list[int] = []
        for piece in self.slices(text):
            ids += self._encode_slice(piece)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids."""
        try:
            return self._encoding.decode(list(ids))
        except (KeyError, OverflowError, TypeError) as error:
            message = f"an id is not in vocabulary {self.vocabulary.name!r}"
            raise TokenizerError(message) from error

    def _count_slice(self, text: str) -> int:
        return len(self._encode_slice(text))

    def _encode_slice(self, text: str) -> list[int]:
        """Encode a slice that may hold a run of blanks too long for the expression engine."""
        ids: list[int] = []
        start = 0
        for first, last in blank_runs(text, self.vocabulary.pattern):
            ids += self._encoding.encode(text[start:first], disallowed_special=())
            ids += self._one_pre_token().encode(text[first:last], disallowed_special=())
            start = last
        return ids + self._encoding.encode(text[start:] if start else text, disallowed_special=())

    def _one_pre_token(self) -> tiktoken.Encoding:
        """Return an encoding that takes any text as one pre-token; made on first use."""
        import tiktoken  # noqa: PLC0415 - as above

        if self._whole is None:
            name = f"{self.vocabulary.name}-whole"
            self._whole = tiktoken.Encoding(name, pat_str="(?s:.+)", mergeable_ranks=self._ranks, special_tokens={})
        return self._whole


class JsonEncoder(Encoder):
    """A tokenizer.json, counted by tokenizers."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        import tokenizers  # noqa: PLC0415 - 40 ms that only counting needs

        self.vocabulary = vocabulary
        self.engine = f"tokenizers {tokenizers.__version__}"
        self._tokenizer: tokenizers.Tokenizer = tokenizers.Tokenizer.from_str(read_file(vocabulary).decode())
        self._tokenizer.encode_special_tokens = True  # written in a text they are text
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text."""
        return [sum(len(self._encode_slice(piece)) for piece in self.slices(text)) for text in texts]

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text's tokens."""
        return [token for piece in self.slices(text) for token in self._encode_slice(piece).ids]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids."""
        try:
            return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))
        except (OverflowError, TypeError) as error:
            message = f"an id is not in vocabulary {self.vocabulary.name!r}"
            raise TokenizerError(message) from error

    def _encode_slice(self, text: str) -> tokenizers.Encoding:
        try:
            return self._tokenizer.encode_batch_fast([text], add_special_tokens=False)[0]
        except TypeError:  # a lone surrogate
            return self._tokenizer.encode_batch_fast([repair(text)], add_special_tokens=False)[0]


class ForeignEncoder(Encoder):
    """A tokenizer object of the user's own: of tokenizers, of tiktoken, or anything with encode and decode."""

    def __init__(self, tokenizer: Any) -> None:
        self.vocabulary = _FOREIGN
        self.engine = type(tokenizer).__module__.partition(".")[0]
        self._tokenizer = tokenizer
        self._settings = _ENCODE_SETTINGS.get(self.engine, {})

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text."""
        return [len(self.encode(text)) for text in texts]

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text's tokens, without those that frame a text for the model."""
        try:
            found = self._tokenizer.encode(text, **self._settings)
        except (TypeError, UnicodeEncodeError):  # a lone surrogate
            found = self._tokenizer.encode(repair(text), **self._settings)
        return list(getattr(found, "ids", found))

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """Return the text of token ids."""
        more = {"skip_special_tokens": skip_special_tokens} if self.engine == "tokenizers" else {}
        try:
            return str(self._tokenizer.decode(list(ids), **more))
        except (KeyError, OverflowError, TypeError) as error:
            raise TokenizerError("an id is not in the vocabulary of the custom tokenizer") from error


_FOREIGN = Vocabulary(
    name="custom", engine="tokenizers", file="", file_sha256="", sha256="", licence="", source="the caller's"
)
_ENCODE_SETTINGS: dict[str, dict[str, Any]] = {
    "tokenizers": {"add_special_tokens": False},
    "tiktoken": {"disallowed_special": ()},
}


def repair(text: str) -> str:
    """Join surrogate pairs and replace lone surrogates, as tiktoken does.

    >>> [hex(ord(sign)) for sign in repair(chr(0xD83D) + chr(0xDE00) + chr(0xD800))]
    ['0x1f600', '0xfffd']
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


_ENGINES: dict[str, type[RanksEncoder | JsonEncoder]] = {"tiktoken": RanksEncoder, "tokenizers": JsonEncoder}
_loaded: dict[str, Encoder] = {}
_loading = threading.Lock()


def load_encoder(name: str) -> Encoder:
    """Return the process's one encoder for a vocabulary, read and verified on first use.

    Args:
        name: of a vocabulary, bundled or installed.

    Raises:
        TokenizerError: there is no such vocabulary, or its file is damaged.
    """
    own = ALIASES.get(name, name)
    with _loading:
        if own not in _loaded:
            row = find_vocabulary(own)
            _loaded[own] = _ENGINES[row.engine](row)
        return _loaded[own]
