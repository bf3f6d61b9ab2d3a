"""Tables for people: in a notebook, as Markdown, and the sums that a page shows."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from callcost.settings import ReportOptions
from callcost.stages.pricing.price_facts import gather_calls
from callcost.stages.report.notebook import spend_html
from callcost.stages.report.publish import markdown_bytes
from callcost.stages.report.spend import sort_spend, sum_spend
from callcost.stages.report.views import OF_DEAREST, ViewSums, commonest_tags
from callcost.stages.tables.facts import facts_of
from callcost.stages.tables.schemas import Calls, SpendMeasures
from tests.stages.calls import make_call


def _spend(rows: int) -> pl.DataFrame:
    return pl.DataFrame(
        [("<u>" if not row else None, f"m{row}", 1234, None, row) for row in range(rows)],
        schema={"user": pl.String, "model": pl.String, "calls": pl.Int64, "prompt_tokens": pl.Int64,
                "total_cost": SpendMeasures.types["total_cost"]}, orient="row",
    ).with_columns(completion_tokens=pl.lit(0))  # fmt: skip


@pytest.mark.parametrize(("rows", "more"), [(20, ""), (21, "<tr><td>1 more groups</td></tr>")])
def test_a_notebook_shows_the_dearest_groups_and_a_line_for_all(rows: int, more: str) -> None:
    totals = {"calls": 9, "prompt_tokens": None, "completion_tokens": 1000, "total_cost": "1.5"}
    html = spend_html(_spend(rows), ("user", "model"), totals)
    head, _, rest = html.partition("</thead><tbody>")
    body, _, foot = rest.partition("</tbody><tfoot>")
    assert head.endswith(
        "<tr><th>user</th><th>model</th><th>calls</th><th>prompt_tokens</th><th>completion_tokens</th>"
        "<th>total_cost</th></tr>"
    )
    assert body.startswith(
        "<tr><td>&lt;u&gt;</td><td>m0</td><td>1,234</td><td>-</td><td>0</td><td>$0.00</td></tr>"
        "<tr><td>-</td><td>m1</td><td>1,234</td><td>-</td><td>0</td><td>$1.00</td></tr>"
    )
    assert body.count("<tr>") == 20 + bool(more)
    assert body.endswith(f"<td>$19.00</td></tr>{more}")
    assert foot == (
        "<tr><th>total</th><th></th><th>9</th><th>-</th><th>1,000</th><th>$1.50</th></tr></tfoot></table>"
    )


def test_what_markdown_would_take_for_more_than_a_sign_is_escaped() -> None:
    table = pl.DataFrame({"snake_case": ["_a_ b_c *x* [y](z) | `w` \\", "<b>&\r\n", None]})
    assert markdown_bytes(table).decode().splitlines() == [
        "| snake_case |", "| --- |", r"| \_a\_ b_c \*x\* \[y\](z) \| \`w\` \\ |", "| &#60;b&#62;&#38;   |", "|  |",
    ]  # fmt: skip


def _calls(*rows: tuple[str, str | None, int | None]) -> pl.DataFrame:
    made = [make_call(row, own_id=name, user=user) for row, (name, user, _) in enumerate(rows, 1)]
    costs = pl.Series([cost for *_, cost in rows], dtype=Calls.types["total_cost"])
    facts = facts_of(made, 0).with_columns(total_cost=costs, price_status=pl.lit("priced"))
    return gather_calls(facts).select(Calls.names)


def test_views_are_what_spend_is_and_the_dearest_calls_of_all_tables_are_kept() -> None:
    parts = [_calls(("a", "x", 3), ("b", "y", 5), ("c", None, None)), _calls(("d", "x", 4), ("e", "y", 1)), _calls()]
    options = ReportOptions(logs=())
    sums = ViewSums(options, [("user", "model"), ("day",)], dearest=3)
    empty = sums.table("user")
    assert (empty.height, empty.columns) == (0, ["user", *SpendMeasures.names])
    for part in parts:
        sums.add(part)
    assert sums.dearest.columns == list(OF_DEAREST)
    assert sums.dearest.select("call_id", "total_cost").rows() == [("b", 5), ("d", 4), ("a", 3)]
    found = {row["user"]: (row["calls"], row["total_cost"]) for row in sums.table("user").to_dicts()}
    assert found == {"x": (2, 7), "y": (2, 6), None: (1, None)}
    by_both = sort_spend(sums.table("user", "model"), ("user", "model"))
    assert by_both.select("user", "total_cost").rows() == [("x", 7), ("y", 6), (None, None)]
    assert sums.table("day")["calls"].to_list() == [5]


def test_the_tags_that_most_calls_have(tmp_path: Path) -> None:
    tags = [{"b": "1", "a": "1"}, {"c": "1", "b": "2"}, {}, {"c": "1"}]
    paths = []
    for number, part in enumerate((tags[:2], tags[2:])):
        facts = facts_of([make_call(row, tags=each) for row, each in enumerate(part)], 0)
        paths.append(str(tmp_path / f"{number}.parquet"))
        gather_calls(facts).write_parquet(paths[-1])
    assert commonest_tags(paths, 9) == ["tag:b", "tag:c", "tag:a"]
    assert commonest_tags(paths, 2) == ["tag:b", "tag:c"]


def test_sums_of_no_call_have_the_columns_of_sums() -> None:
    nothing = facts_of([], 0)
    found = sum_spend(nothing, gather_calls(nothing), ReportOptions(logs=(), by=("model",)))
    assert found.columns == ["model", *SpendMeasures.names]
