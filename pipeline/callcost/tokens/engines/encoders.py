"""One interface over the engines that turn text into tokens.

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
from functools import cached_property
from itertools import compress, count
from typing import TYPE_CHECKING, Any

from callcost.errors import TokenizerError
from callcost.tokens.engines.safe_splits import SLICE_CHARS, blank_runs, slices
from callcost.tokens.engines.vocabularies import ALIASES, Vocabulary, find_vocabulary, ranks_of, read_file, read_tokens

if TYPE_CHECKING:
    import tiktoken

_SHORT = 16  # bytes of most tokens, which are looked up; longer ones are looked for
# Characters of texts whose ranks are found in about the time that the whole vocabulary takes to set up, and as many as
# could be in the time that setting up a part takes at least.
_FEW_CHARS, _CHARS_OF_A_START = 24_000, 3_000


class Encoder(abc.ABC):
    """Counts, encodes and decodes with one vocabulary; safe to use from several threads.

    Attributes:
        vocabulary: the vocabulary's row in its index.
        engine: name and version of the library that does the work.
    """

    vocabulary: Vocabulary
    engine: str

    @property
    def counting_engine(self) -> str:
        """The engine that counts now."""
        return self.engine

    @abc.abstractmethod
    def _tokenizer(self) -> Any:
        """Return the library's own object."""

    @abc.abstractmethod
    def _encode_slice(self, text: str) -> Any:
        """Return the ids of a slice of text: a list, or what holds one as ``ids`` and has its length."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, as a whole string.

        Raises:
            TokenizerError: the engine refuses a text; tiktoken and tokenizers refuse none.
        """
        return [sum(len(self._encode_slice(piece)) for piece in self.slices(text)) for text in texts]

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text's tokens, without those that frame a text for the model."""
        slices_of_ids = map(self._encode_slice, self.slices(text))
        return [token for ids in slices_of_ids for token in getattr(ids, "ids", ids)]

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """Return the text of token ids; bytes that are no character become the replacement character.

        Args:
            ids: the ids.
            skip_special_tokens: leave special tokens out, where the library is tokenizers.

        Raises:
            TokenizerError: an id is not in the vocabulary.
        """
        library = type(self._tokenizer()).__module__.partition(".")[0]
        settings = {"skip_special_tokens": skip_special_tokens} if library == "tokenizers" else {}
        try:
            return str(self._tokenizer().decode(list(ids), **settings))
        except (KeyError, OverflowError, TypeError) as error:
            name = f"vocabulary {self.vocabulary.name!r}"
            place = "the vocabulary of the custom tokenizer" if self.vocabulary is _FOREIGN else name
            raise TokenizerError(f"an id is not in {place}") from error

    def slices(self, text: str, size: int = SLICE_CHARS) -> Iterator[str]:
        """Cut a text into slices whose counts add up to the count of the whole, where the vocabulary allows it."""
        return slices(text, size) if self.vocabulary.cuttable else iter((text,))


class RanksEncoder(Encoder):
    """Byte-pair ranks, counted by tiktoken.

    The first few texts are counted without the whole vocabulary, which takes 0.2 s to set up: merging pairs of bytes
    only ever makes tokens whose bytes stand in the text, so that the ranks of these are enough.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        import tiktoken  # noqa: PLC0415 - 40 ms that only counting needs

        self.vocabulary = vocabulary
        self.engine = f"tiktoken {tiktoken.__version__}"
        self._tokens = read_tokens(vocabulary)
        self._part: tuple[dict[bytes, int], tiktoken.Encoding | None] = {}, None
        self._left = _FEW_CHARS
        self._all: tiktoken.Encoding | None = None
        self._whole: tiktoken.Encoding | None = None

    @cached_property
    def _ranks(self) -> dict[bytes, int]:
        return ranks_of(self._tokens)

    @cached_property
    def _long(self) -> list[tuple[int, bytes]]:
        long = compress(count(), map(_SHORT.__lt__, map(len, self._tokens)))
        return [(rank, self._tokens[rank]) for rank in long]

    def _tokenizer(self) -> tiktoken.Encoding:
        """Return the encoding of the whole vocabulary; made on first use."""
        import tiktoken  # noqa: PLC0415 - as above

        if self._all is None:
            self._all = tiktoken.Encoding(
                self.vocabulary.name,
                pat_str=self.vocabulary.pattern,
                mergeable_ranks=self._ranks,
                special_tokens=self.vocabulary.special,  # only decode meets them
            )
        return self._all

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text."""
        encode = self._encoding_of(texts).encode_ordinary
        whole = super().count
        return [len(encode(text)) if len(text) <= SLICE_CHARS else whole([text])[0] for text in texts]

    def _encoding_of(self, texts: Sequence[str]) -> tiktoken.Encoding:
        """Return an encoding that counts these texts as that of the whole vocabulary does."""
        self._left -= sum(map(len, texts)) + _CHARS_OF_A_START
        if self._left < 0 or self._all is not None:
            return self._tokenizer()
        import tiktoken  # noqa: PLC0415 - as above

        ranks, encoding = self._part
        fresh = self._ranks_in(repair("\n".join(texts)).encode()) | ranks
        if not fresh:  # nothing to count, of which no encoding can be made
            return self._tokenizer()
        if encoding is None or len(fresh) > len(ranks):
            encoding = tiktoken.Encoding(
                f"{self.vocabulary.name}-part",
                pat_str=self.vocabulary.pattern, mergeable_ranks=fresh, special_tokens={},
            )  # fmt: skip
            self._part = fresh, encoding
        return encoding

    def _ranks_in(self, data: bytes) -> dict[bytes, int]:
        """Return the ranks of the tokens whose bytes stand somewhere in some data: no table of all is made for that."""
        pieces = {data[start : start + size] for size in range(1, _SHORT + 1) for start in range(len(data) - size + 1)}
        found = {self._tokens[rank]: rank for rank in compress(count(), map(pieces.__contains__, self._tokens))}
        return found | {token: rank for rank, token in self._long if token[:_SHORT] in pieces and token in data}

    def _encode_slice(self, text: str) -> list[int]:
        """Encode a slice that may hold a run of blanks too long for the expression engine."""
        ids: list[int] = []
        start = 0
        for first, last in blank_runs(text, self.vocabulary.pattern):
            ids += self._tokenizer().encode(text[start:first], disallowed_special=())
            ids += self._one_pre_token().encode(text[first:last], disallowed_special=())
            start = last
        ids += self._tokenizer().encode(text[start:] if start else text, disallowed_special=())
        return ids

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
        self._made = take_as_text(tokenizers.Tokenizer.from_str(read_file(vocabulary).decode()))

    def _tokenizer(self) -> Any:
        return self._made

    def _encode_slice(self, text: str) -> Any:
        try:
            return self._made.encode_batch_fast([text], add_special_tokens=False)[0]
        except TypeError:  # a lone surrogate
            return self._made.encode_batch_fast([repair(text)], add_special_tokens=False)[0]


def take_as_text(tokenizer: Any) -> Any:
    """Let a tokenizer of tokenizers take any text whole, special tokens in it as the text that they are."""
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


class ForeignEncoder(Encoder):
    """A tokenizer object of the user's own: of tokenizers, of tiktoken, or anything with encode and decode."""

    def __init__(self, tokenizer: Any) -> None:
        self.vocabulary = _FOREIGN
        self.engine = type(tokenizer).__module__.partition(".")[0]
        self._made = tokenizer
        self._settings = _ENCODE_SETTINGS.get(self.engine, {})

    def _tokenizer(self) -> Any:
        return self._made

    def _encode_slice(self, text: str) -> Any:
        try:
            found = self._made.encode(text, **self._settings)
        except (TypeError, UnicodeEncodeError):  # a lone surrogate
            found = self._made.encode(repair(text), **self._settings)
        return list(getattr(found, "ids", found))


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
        name: name of a vocabulary, bundled or installed.

    Raises:
        TokenizerError: there is no such vocabulary, or its file is damaged.
    """
    own = ALIASES.get(name, name)
    with _loading:
        if own not in _loaded:
            row = find_vocabulary(own)
            _loaded[own] = _ENGINES[row.engine](row)
        return _loaded[own]
