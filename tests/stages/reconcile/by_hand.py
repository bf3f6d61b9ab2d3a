"""Cells, charges and evidence written by hand, for the rules of reconcile."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, cast

from callcost.logs.bills.lines import DAY, BillLine
from callcost.prices.book.book import Book, Resolution
from callcost.prices.rates import Terms
from callcost.stages.reconcile.call_evidence import Evidence, OwnerDays
from callcost.stages.reconcile.case import Case
from callcost.stages.reconcile.cells import Cell, CellKey, Part, Share, Vector
from callcost.stages.reconcile.grain import BillGrain, group_cells


class EmptyBook:
    """A price book that lists no model."""

    def resolve(self, *_names: Any, **_more: Any) -> Resolution:
        return Resolution()


NO_BOOK = cast("Book", EmptyBook())
Number = int | str | Decimal


def decimal(value: Number | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def make_part(**more: Any) -> Part:
    """A charge of 10 input tokens of gpt-4.1 on the first day, $0.00002."""
    part = Part(
        day=0, paid="openai", model="gpt-4.1", unit="text_input", token_class="input", quantity=Decimal(10),
        cost=Decimal("0.00002"), fx=Decimal(1), provider="openai", requested=None, terms=Terms(),
    )  # fmt: skip
    return part._replace(**more)


def make_line(**more: Any) -> BillLine:
    """A line of OpenAI's on the first day."""
    return BillLine(**{"dialect": "openai_costs", "provider": "openai", "start_at": 0, "end_at": DAY, **more})


def make_cell(
    token_class: str | None = "input", *, ours: Number = 0, cost: Number | None = None, billed: Number | None = None,
    amount: Number | None = None, day: int | None = 0, model: str | None = "gpt-4.1", provider: str = "openai",
    **more: Any,
) -> Any:  # fmt: skip
    """A started cell; of no type, so that its decimals can be compared with whole numbers."""
    cell = Cell(
        CellKey(day, provider, model, token_class), ours=Decimal(ours), cost=decimal(cost), billed=decimal(billed),
        amount=decimal(amount), **more,
    )  # fmt: skip
    cell.start()
    return cell


def vector(**classes: tuple[Number, Number]) -> Vector:
    """Class -> (quantity, cost)."""
    return {name: (Decimal(quantity), Decimal(cost)) for name, (quantity, cost) in classes.items()}


@dataclasses.dataclass
class FakeEvidence:
    """Answers that a test gives."""

    copied: dict[CellKey, Vector] = dataclasses.field(default_factory=dict)
    broken: dict[CellKey, Vector] = dataclasses.field(default_factory=dict)
    prompts: dict[CellKey, Decimal] = dataclasses.field(default_factory=dict)
    hidden: tuple[dict[CellKey, Vector], dict[CellKey, Vector]] = ({}, {})
    calls: dict[tuple[CellKey, bool], list[Vector]] = dataclasses.field(default_factory=dict)
    zones: dict[int, dict[CellKey, Vector]] = dataclasses.field(default_factory=dict)
    owners: dict[bool, OwnerDays] = dataclasses.field(default_factory=dict)
    costs: dict[CellKey, dict[str, Share]] = dataclasses.field(default_factory=dict)
    odds: str = ""
    shifts: dict[str, int] = dataclasses.field(default_factory=dict)

    def copies(self, grain: BillGrain) -> dict[CellKey, Vector]:
        return self.copied

    def aborted(self, grain: BillGrain) -> dict[CellKey, Vector]:
        return self.broken

    def aborted_prompts(self, grain: BillGrain) -> dict[CellKey, Decimal]:
        return self.prompts

    def runs(self, grain: BillGrain) -> list[dict[CellKey, Vector]]:
        return list(self.hidden)

    def calls_by_time(self, grain: BillGrain, key: CellKey, *, late: bool) -> list[Vector]:
        return self.calls.get((key, late), [])

    def by_time_zone(
        self, grain: BillGrain, provider: str, shifts: Iterable[int]
    ) -> dict[int, dict[CellKey, Vector]]:  # fmt: skip
        return {shift: self.zones[shift] for shift in shifts if shift in self.zones}

    def owner_costs(self, grain: BillGrain, provider: str) -> dict[CellKey, dict[str, Share]]:
        return self.costs

    def owner_days(self, grain: BillGrain, provider: str) -> dict[bool, OwnerDays]:
        return self.owners


def make_case(cells: Iterable[Cell], evidence: FakeEvidence | None = None, **more: Any) -> Case:
    """A comparison of cells."""
    known = {cell.key: cell for cell in cells}
    answers = cast("Evidence", evidence or FakeEvidence())
    return Case(group_cells(known), answers, BillGrain([], []), more.pop("book", NO_BOOK), **more)


def causes(cell: Cell) -> Any:
    """(cause, tokens, amount) of what was found in a cell."""
    return [(found.cause, found.tokens, found.amount) for found in cell.findings]
