"""A comparison while it is explained: what every rule is given.

The rules themselves, and their order, are in ``rules.py``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

from callcost.prices.book.book import Book
from callcost.stages.reconcile.call_evidence import Evidence
from callcost.stages.reconcile.cells import Cell, CellKey
from callcost.stages.reconcile.grain import BillGrain


class Agreement(NamedTuple):
    """What days on which a bill and the logs agree exactly say of a provider.

    Attributes:
        days: how many agree.
        whole: whether all days do.
        shift: microseconds by which the bill's days begin earlier.
        copied: whether the copies in our logs are on the bill as well; None: there are none, or nothing tells.
        absent: owners of the bill that are not in the logs.
    """

    days: int
    whole: bool
    shift: int
    copied: bool | None
    absent: frozenset[str]


class Words(NamedTuple):
    """What evidence is called where one rule serves the rows of a bill and single calls.

    Attributes:
        unpriced: our side has no price.
        lacks_tools: the other side lacks the fees of our server tools.
        rounding: the other side's last place hides it.
    """

    unpriced: str
    lacks_tools: str
    rounding: str


_OF_BILL = Words("our calls have no price", "the bill lacks our server tools", "less than the bill's last place")
_OF_CALLS = Words(
    "our call has no price", "the stated cost lacks server tools", "less than the last place of the stated cost"
)


@dataclasses.dataclass(slots=True)
class Case:
    """A comparison while it is explained.

    Attributes:
        groups: key without class, and cells, of each day, provider and model; of calls: each call a group.
        evidence: answers about single calls.
        grain: what the bill tells apart.
        book: prices of our side.
        per_call: whether each cell is one call, and not a row of a bill.
        agreements: provider -> what days say on which both sides agree, once that is asked.
    """

    groups: list[tuple[CellKey, list[Cell]]]
    evidence: Evidence
    grain: BillGrain
    book: Book
    per_call: bool = False
    agreements: dict[str, Agreement] = dataclasses.field(default_factory=dict)

    @property
    def words(self) -> Words:
        """What evidence is called."""
        return _OF_CALLS if self.per_call else _OF_BILL

    def cells(self) -> Iterator[Cell]:
        """Yield every cell, in order."""
        for _, cells in self.groups:
            yield from cells

    def token_cells(self) -> Iterator[tuple[CellKey, list[Cell]]]:
        """Yield the groups, only their cells of tokens."""
        for key, cells in self.groups:
            yield key, [cell for cell in cells if cell.is_token]
