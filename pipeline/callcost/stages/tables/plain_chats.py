"""Chats of many rows as columns: their texts, and what each comes to beside them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, compress, repeat
from typing import NamedTuple

from callcost.stages.tables.dictionary import Numbered


class Texts(NamedTuple):
    """The texts of some rows.

    Attributes:
        lengths: of each row, how many texts it has.
        texts: of all rows, one after the other.
    """

    lengths: list[int]
    texts: list[str]

    def pick(self, wanted: Sequence[bool]) -> Texts:
        """Return those of some of the rows."""
        if all(wanted):
            return self
        texts = compress(self.texts, chain.from_iterable(map(repeat, wanted, self.lengths)))
        return Texts(list(compress(self.lengths, wanted)), list(texts))


class ChatKinds(NamedTuple):
    """Chats, and what decides what each comes to.

    Attributes:
        texts: of the chats.
        kinds: of the rows; its values are CallTemplates, or None for a kind that no row is of.
    """

    texts: Texts
    kinds: Numbered
