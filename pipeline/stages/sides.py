"""What the rows of a table were charged so far: one record per side, filled by tokens, then by what stands beside."""

from __future__ import annotations

import dataclasses

import polars as pl

from pipeline.prices.charges import SIDES
from pipeline.stages.flags import Flag

COUNTS = {"input": "line_prompt_tokens", "output": "line_completion_tokens"}  # of each side's tokens


@dataclasses.dataclass(slots=True)
class Side:
    """Charges of one cost column.

    Attributes:
        cost: in units of 10**-18 dollars, as 128-bit numbers; None: 0 in every row.
        held: whether the row states any unit of the side.
        missing: whether any of them has no rate.
        priced: whether any of them has one.
    """

    cost: pl.Series | None = None
    held: Flag = None
    missing: Flag = None
    priced: Flag = None


@dataclasses.dataclass(slots=True)
class Charged:
    """Charges of all rows.

    Attributes:
        sides: by name: input, output, other.
        weak: whether any rate that was charged may be too low.
        extras: whether the row states anything beside tokens.
        total: sum of the sides' costs; None: 0 in every row.
        zeros: whether any rate that was charged is an explicit 0.
    """

    sides: dict[str, Side] = dataclasses.field(default_factory=lambda: {side: Side() for side in SIDES})
    weak: Flag = None
    extras: Flag = None

    total: pl.Series | None = None
    zeros: bool = False
