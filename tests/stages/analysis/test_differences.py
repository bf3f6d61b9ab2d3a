"""What a difference is split into adds up to the last digit, in any grouping, and each part is what its name says."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcost.stages.analysis.call_charges import charges_of
from callcost.stages.analysis.differences import STEPS, compare_calls
from callcost.stages.report.spend import group_column
from callcost.stages.tables.schemas import MONEY, Calls

PARTS = (*(f"{step}_cost" for step in STEPS), "new_cost", "gone_cost")
TOKENS = st.integers(0, 10**6)
COSTS = st.integers(0, 10**21).map(lambda units: Decimal(units).scaleb(-18))


@st.composite
def calls(draw: st.DrawFn) -> dict[str, Any]:
    read, written, plain = (draw(TOKENS) for _ in range(3))
    known = draw(st.booleans())
    costs = [draw(COSTS) for _ in range(5)]
    row: dict[str, Any] = {
        "model": draw(st.sampled_from(["gpt-4o", "o3", "claude"])),
        "user": draw(st.sampled_from(["ana", "bo", None])),
        "service_tier": draw(st.sampled_from([None, "flex"])),
        "prompt_tokens": read + written + plain,
        "cache_read_input_tokens": draw(st.sampled_from([read, None])),
        "cache_creation_input_tokens": written,
        "completion_tokens": draw(st.none() | TOKENS),
        "price_status": "priced" if known else "unpriced",
    }
    if known:
        read_cost, write_cost, rest, output, other = costs
        row |= {"cache_read_cost": read_cost, "cache_write_cost": write_cost, "output_cost": output}
        row["input_cost"] = read_cost + write_cost + rest
        row["total_cost"] = row["input_cost"] + output + other
    return row


def table_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(
        [{**row, "call_id": str(n), "source_file": "a", "source_row": n} for n, row in enumerate(rows)],
        schema=Calls.types,
    )


def compared(first: pl.DataFrame, second: pl.DataFrame, by: tuple[str, ...]) -> pl.DataFrame:
    return compare_calls(first, second, {name: group_column(name, "UTC") for name in by})


@settings(max_examples=60)
@given(
    first=st.lists(calls(), max_size=8), second=st.lists(calls(), max_size=8),
    by=st.sampled_from([("model",), ("user",), ("model", "user"), ("status",), ("day",)]),
)  # fmt: skip
def test_the_parts_of_a_difference_add_up_in_any_grouping(
    first: list[dict[str, Any]], second: list[dict[str, Any]], by: tuple[str, ...]
) -> None:
    a, b = table_of(first), table_of(second)
    found = compared(a, b, by)
    for row in found.iter_rows(named=True):
        assert sum(row[name] for name in PARTS) == row["difference_cost"] == row["second_cost"] - row["first_cost"]
    for which, table in (("first", a), ("second", b)):
        assert found[f"{which}_calls"].sum() == table.height
        assert found[f"{which}_cost"].sum() == table["total_cost"].sum()
    assert not any(value for row in compared(a, a, by).select(PARTS).iter_rows() for value in row)


@given(st.lists(calls(), max_size=8))
def test_the_charges_of_a_call_add_up_to_its_cost(rows: list[dict[str, Any]]) -> None:
    table = table_of(rows)
    sums = charges_of(table).group_by("call_id").agg(pl.col("cost").sum(), pl.col("tokens").sum())
    both = table.join(sums, on="call_id", how="left")
    for row in both.iter_rows(named=True):
        assert (row["total_cost"] or 0) == (row["cost"] or 0)
        assert (row["tokens"] or 0) == row["prompt_tokens"] + (row["completion_tokens"] or 0)


PLAIN = {"model": "gpt-4o", "prompt_tokens": 1000, "completion_tokens": 0, "price_status": "priced", "user": "ana",
         "input_cost": Decimal(2), "output_cost": Decimal(0), "total_cost": Decimal(2)}  # fmt: skip
CACHED = PLAIN | {"cache_read_input_tokens": 500, "cache_read_cost": Decimal("0.5"), "input_cost": Decimal("1.5"),
                  "total_cost": Decimal("1.5")}  # fmt: skip


def costing(amount: int) -> dict[str, Decimal]:
    return {"input_cost": Decimal(amount), "total_cost": Decimal(amount)}


@pytest.mark.parametrize(
    ("first", "second", "parts"),
    [
        ([PLAIN], [PLAIN] * 3, {"volume_cost": 4}),
        ([PLAIN], [PLAIN | costing(3)], {"price_cost": 1}),
        ([PLAIN], [PLAIN | {"prompt_tokens": 3000} | costing(6)], {"size_cost": 4}),
        ([PLAIN], [CACHED], {"mix_cost": Decimal("-0.5")}),
        ([PLAIN], [PLAIN | {"service_tier": "flex"} | costing(1)], {"mix_cost": -1}),
        ([PLAIN], [PLAIN | {"model": "o3"} | costing(9)], {"mix_cost": 7}),
        ([], [PLAIN], {"new_cost": 2}),
        ([PLAIN, PLAIN], [], {"gone_cost": -4}),
        ([PLAIN], [PLAIN | {"total_cost": Decimal(5)}], {"size_cost": 3}),  # tools
    ],
)
def test_each_part_is_what_its_name_says(
    first: list[dict[str, Any]], second: list[dict[str, Any]], parts: dict[str, Decimal]
) -> None:
    (row,) = compared(table_of(first), table_of(second), ("user",)).to_dicts()
    assert {name: row[name] for name in PARTS if row[name]} == parts
    assert isinstance(row["difference_cost"], Decimal)
    assert compared(table_of(first), table_of(second), ("user",)).schema["mix_cost"] == MONEY
