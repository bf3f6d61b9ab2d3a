"""A reconciliation for reading: nothing of the difference is lost or told twice, and each cause says what to do."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from callcost.stages.analysis.bill_gap import CAUSES, LEAST, group_causes, next_steps, sum_days, unmapped_lines
from callcost.stages.tables.schemas import Causes, Reconciliation

AMOUNTS = st.decimals("-1000", "1000", places=18).map(lambda amount: round(amount, 18))
CELLS = st.fixed_dictionaries({
    "against": st.sampled_from(["bill", "log"]),
    "day": st.one_of(st.none(), st.dates(date(2026, 10, 1), date(2026, 10, 5))),
    "provider": st.sampled_from(["openai", "anthropic"]),
    "model": st.one_of(st.none(), st.sampled_from(["gpt-4o", "o3"])),
    "token_class": st.one_of(st.none(), st.sampled_from(["input", "output", "fee", "unmapped"])),
    "line_item": st.one_of(st.none(), st.just("a line")),
    "status": st.sampled_from(["final", "open"]),
    "currency": st.just("USD"),
})  # fmt: skip
FOUND = st.fixed_dictionaries({
    "cause": st.sampled_from(sorted(CAUSES)),
    "tokens": st.integers(-(10**9), 10**9).map(Decimal),
    "amount": st.one_of(AMOUNTS, AMOUNTS.map(lambda amount: round(amount / 10**5, 18)), st.none()),
    "base": st.one_of(st.none(), AMOUNTS),
    "evidence": st.sampled_from(["one", "other"]),
    "owner": st.one_of(st.none(), st.sampled_from(["key_1", "unattributed"])),
})  # fmt: skip


def row_of(cell: dict[str, Any], **figures: Any) -> dict[str, Any]:
    stated = "billed_cost" if cell["against"] == "bill" else "logged_cost"
    figures = {stated if name == "stated" else name: value for name, value in figures.items()}
    return dict.fromkeys(Reconciliation.names) | cell | figures


def tables(rows: list[dict[str, Any]], causes: list[dict[str, Any]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    return pl.DataFrame(rows, schema=Reconciliation.types), pl.DataFrame(causes, schema=Causes.types)


def cell(**more: Any) -> dict[str, Any]:
    return {"against": "bill", "day": date(2026, 10, 1), "provider": "openai", "model": "gpt-4o",
            "token_class": "input", "line_item": None, "status": "final", "currency": "USD", **more}  # fmt: skip


def cause(name: str, amount: str | None, *, tokens: int = 0, owner: str | None = None, **more: Any) -> dict[str, Any]:
    money = None if amount is None else Decimal(amount)
    about = {"cause": name, "tokens": Decimal(tokens), "amount": money, "evidence": "x", "owner": owner, "base": None}
    return about | cell(**more)


@settings(max_examples=10)
@given(st.lists(st.tuples(CELLS, FOUND), max_size=20), AMOUNTS)
def test_what_is_grouped_adds_up_to_what_there_is(
    found: list[tuple[dict[str, Any], dict[str, Any]]], whole: Decimal
) -> None:
    rows, causes = tables([row_of(one, stated=whole) for one, _ in found], [one | more for one, more in found])
    gap = group_causes(rows, causes)
    for side in ("bill", "log"):
        of_side = pl.col("against") == side
        assert gap.filter(of_side)["amount"].sum() == causes.filter(of_side)["amount"].sum()
    keys = ["against", "currency", "provider", "model", "cause", "owner"]
    gross = causes.group_by(keys).agg(gross=pl.col("amount").abs().sum())
    small = gap.filter(pl.col("amount").is_not_null()).join(gross, on=keys, nulls_equal=True)
    assert small.filter(pl.col("gross") < LEAST).is_empty()  # what moves money between days is not rounding
    assert gap.filter(pl.col("cause") == "rounding", pl.col("amount").is_not_null()).height <= 2  # one a side
    assert gap.select(keys).is_unique().all() or gap["amount"].null_count()
    assert sum_days(rows)["stated"].sum() == whole * len(found)


def test_a_row_says_how_much_of_the_bill_by_what_factor_and_when() -> None:
    days = [date(2026, 10, day) for day in (3, 1, 7)]
    rows, causes = tables(
        [row_of(cell(day=day), stated=Decimal(8), computed_cost=Decimal(10)) for day in days],
        [cause("discount", "-2", day=day, owner="key_1", base=Decimal(10)) for day in days],
    )
    assert group_causes(rows, causes).to_dicts() == [{
        "against": "bill", "provider": "openai", "model": "gpt-4o", "cause": "discount",
        "words": CAUSES["discount"], "owner": "key_1",
        "amount": Decimal(-6), "share": Decimal("-0.25"), "factor": Decimal("0.8"), "tokens": Decimal(0),
        "first_day": days[1], "last_day": days[2], "days": 3, "currency": "USD", "evidence": "x",
    }]  # fmt: skip


def test_what_to_do_names_the_report_the_rate_or_the_key() -> None:
    rows, causes = tables(
        [row_of(cell(), stated=Decimal(20), computed_cost=Decimal(10)),
         row_of(cell(provider="anthropic", model="o3"), billed_tokens=Decimal(7))],
        [cause("unexplained", "5"), cause("price_version", "3", model="o3"), cause("day_shift", "1"),
         cause("billed_not_logged", "2", owner="key_7"),
         cause("billed_not_logged", None, tokens=7, provider="anthropic")],
    )  # fmt: skip
    steps = next_steps(group_causes(rows, causes), rows, owners=True)
    words = [step["what"] for step in steps]
    assert [step["amount"] for step in steps] == [5, 3, 2, 1, 0]
    assert "Add the usage report of openai" in words[0]
    assert "`callcost bills pull openai` fetches it" in words[0]
    assert "`callcost prices history o3`" in words[1]
    assert "Log the calls of key_7" in words[2]
    assert "Log times with their zone" in words[3]
    assert "Add the cost report of anthropic" in words[4]


def test_lines_that_no_call_has_are_listed_by_label() -> None:
    lines = [cell(token_class="unmapped", line_item=item, model=None) for item in ("a", "b", "a")]
    rows, _ = tables([row_of(line, stated=Decimal(number)) for number, line in enumerate(lines, 1)], [])
    assert unmapped_lines(rows).select("line_item", "kind", "amount").rows() == [
        ("a", "unmapped", Decimal(4)), ("b", "unmapped", Decimal(2)),
    ]  # fmt: skip
