"""Plain chats of many rows as columns: roles and texts of messages, and answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import chain, compress, repeat
from typing import NamedTuple

from callcost.stages.tables.dictionary import Numbered

Roles = tuple[str, ...]


@dataclasses.dataclass(slots=True)
class Chats:
    """The plain chats of some rows, as columns.

    Attributes:
        roles: of each row, the roles of its messages; (): it holds no plain chat.
        texts: of the messages of all rows, one after the other.
        answers: of each row, the text; "": it holds no plain chat.
    """

    roles: list[Roles] = dataclasses.field(default_factory=list)
    texts: list[str] = dataclasses.field(default_factory=list)
    answers: list[str] = dataclasses.field(default_factory=list)

    def add(self, other: Chats) -> None:
        """Put the rows of another after these."""
        self.roles += other.roles
        self.texts += other.texts
        self.answers += other.answers

    def pick(self, wanted: Sequence[bool]) -> Chats:
        """Return some of the rows."""
        if all(wanted):
            return self
        texts = compress(self.texts, chain.from_iterable(map(repeat, wanted, map(len, self.roles))))
        return Chats(list(compress(self.roles, wanted)), list(texts), list(compress(self.answers, wanted)))


class ChatKinds(NamedTuple):
    """Plain chats, and what decides what each comes to.

    Attributes:
        chats: the chats.
        kinds: of the rows; its values are what a prompt and an answer come to beside their texts.
    """

    chats: Chats
    kinds: Numbered
