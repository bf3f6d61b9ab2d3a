"""What is counted: texts with weights, a constant, and how far the sum can be trusted.

A ``Frame`` is the bridge between the rules (messages.py and its neighbours), which know how a provider lays a prompt
out, and the counting engine, which knows only texts. Integers in thousandths throughout, so that a sum never depends
on the order of its parts and texts can be counted once per window. Counting the texts is left to the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from operator import mul
from typing import Any

import msgspec

from callcost.tokens.vocabulary_corrections import correction_of

SMALL = 10  # tokens: the error of so small a count is twice its kind's
SPECIAL = "\0"  # stands for a special token until a text is cut there; no JSON text holds it
UNIT = 1000  # weights and constants are thousandths of a token

EXACT = "exact"
CALIBRATED = "calibrated"
ESTIMATED = "estimated"


class Frame(msgspec.Struct, frozen=True):
    """What one side of a call comes to, before its texts are counted.

    Attributes:
        vocabulary: name of the vocabulary that counts every text.
        texts: the texts to count; an empty one counts nothing.
        weights: thousandths of a token that each token of the text in that place counts.
        constant: thousandths of a token that no text accounts for.
        method: "exact", "calibrated" or "estimated".
        error: expected relative error; nine of ten counts of this kind are closer.
        share: number that the sum is divided by, rounded down (a provider's own arithmetic for some answers).
    """

    vocabulary: str
    texts: tuple[str, ...] = ()
    weights: tuple[int, ...] = ()
    constant: int = 0
    method: str = ESTIMATED
    error: float = 1.0
    share: int = 1


class FrameBuilder(msgspec.Struct):
    """Gathers the texts and constants of a frame.

    Attributes:
        weight: thousandths of a token that each token of a text counts.
        corrections: what a stand-in vocabulary gets wrong; a key of vocabulary_corrections.py's table.
        texts: the texts added so far.
        weights: thousandths of a token that each token of the text in that place counts.
        constant: thousandths of a token that no text accounts for.
        share: number that the sum is divided by, rounded down.
    """

    weight: int = UNIT
    corrections: str = ""
    texts: list[str] = []
    weights: list[int] = []
    constant: int = 0
    share: int = 1

    def text(self, text: str, factor: int = UNIT) -> None:
        """Add a text; an empty one adds nothing.

        Args:
            text: what is counted.
            factor: thousandths, on top of the builder's own weight.
        """
        if text:
            self.texts.append(text)
            self.weights.append(self.weight * factor // UNIT)
            self.constant += correction_of(self.corrections, text) * factor // UNIT if self.corrections else 0

    def pieces(self, text: str) -> None:
        """Add a text in which ``SPECIAL`` stands for special tokens, each of them one token."""
        found = text.split(SPECIAL)
        self.tokens(len(found) - 1)
        for piece in found:
            self.text(piece)

    def tokens(self, count: int) -> None:
        """Add whole tokens that no text accounts for."""
        self.constant += count * UNIT

    def ciphertext(self, length: int, each: int, less: int) -> None:
        """Add a guess of the tokens behind an encrypted text, never fewer than 0.

        Args:
            length: characters of the encrypted text.
            each: thousandths of a token for each character.
            less: tokens fewer for the whole.
        """
        self.constant += max(0, length * each - less * UNIT)

    def frame(self, vocabulary: str, method: str, error: float) -> Frame:
        """Return what was gathered."""
        texts, weights = tuple(self.texts), tuple(self.weights)
        return Frame(vocabulary, texts, weights, self.constant, method, error, self.share)


def relative_error(error: float, tokens: int, method: str) -> float:
    """Return the expected relative error of a count: that of its kind, and up to 1 where the count is small.

    Args:
        error: of the kind.
        tokens: that were counted.
        method: how; what is exact is so however small it is.
    """
    return error if method == EXACT else min(error * (1 + SMALL / max(tokens, 1)), max(error, 1.0))


def total(frame: Frame, counts: Sequence[int]) -> int:
    """Return the tokens of a frame whose texts have the given counts.

    Args:
        frame: texts, weights and constant.
        counts: tokens of each text, in the order of ``frame.texts``.

    Returns:
        Tokens, rounded half up, never negative.

    Raises:
        ValueError: there are not as many counts as texts.

    >>> total(Frame(vocabulary="o200k_base", texts=("hi",), weights=(1000,), constant=3000), [1])
    4
    """
    if len(counts) != len(frame.texts):
        raise ValueError("every text needs its count")
    weighted: int = sum(map(mul, frame.weights, counts))
    return whole_tokens(frame.constant + weighted, frame.share)


def whole_tokens(thousandths: int, share: int) -> int:
    """Return whole tokens, rounded half up, never negative; a part of them, rounded down, where they are shared."""
    whole: int = round_units(thousandths, share)
    return max(0, whole)


def round_units(thousandths: Any, share: Any) -> Any:
    """Do the same, but for what is negative, with numbers or with columns of them."""
    return (thousandths + UNIT // 2) // UNIT // share


def day(text: str) -> int:
    """Return the start of a day (UTC) in microseconds since 1970."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000
