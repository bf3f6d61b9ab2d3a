"""The order and the cut of a bill's pages say nothing: permuted rows, split and repeated pages are the same bill."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.jobs.reconcile import Reconciliation, reconcile_costs
from callcost.settings import ReconcileOptions
from tests.conftest import examples
from tests.jobs.bill_faults import make_world, write_world

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
FAULTY = ("lose_calls", "ask_batch", "add_unknown_lines", "grant_discount")


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Reconciliation]:
    """A log, its bill with a few faults, and what comes of them."""
    from tests.jobs.bill_faults import FAULTS

    world = make_world()
    for name in FAULTY:
        FAULTS[name](world)
    log, bill = write_world(tmp_path_factory.mktemp("bill"), world)
    return log, bill, _reconcile(log, bill)


def _reconcile(log: Path, bill: Path) -> Reconciliation:
    return reconcile_costs(ReconcileOptions(logs=(str(log),), bills=(str(bill),), as_of=AS_OF))


def _exact(text: str) -> Any:
    return json.loads(text, parse_float=lambda digits: f"\0{digits}\0")


def _text(value: Any) -> str:
    return json.dumps(value).replace('"\\u0000', "").replace('\\u0000"', "")


@examples(6, 50)
@given(data=st.data())
def test_pages_shuffled_split_and_repeated_are_the_same_bill(
    known: tuple[Path, Path, Reconciliation], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    log, bill, expected = known
    folder = tmp_path_factory.mktemp("pages")
    for path in sorted(bill.iterdir()):
        page = _exact(path.read_text(encoding="utf-8"))
        buckets = data.draw(st.permutations(page["data"]), label=path.name)
        for bucket in buckets:
            bucket["results"] = data.draw(st.permutations(bucket["results"]))
        cut = data.draw(st.integers(0, len(buckets)))
        pages = [{**page, "data": part} for part in (buckets[:cut], buckets[cut:]) if part]
        pages += data.draw(st.lists(st.sampled_from(pages), max_size=2))
        for number, part in enumerate(data.draw(st.permutations(pages))):
            (folder / f"{path.stem}-{number}.json").write_text(_text(part), encoding="utf-8")
    found = _reconcile(log, folder)
    assert found.rows.equals(expected.rows)
    assert found.causes.equals(expected.causes)
    assert found.manifest["bill"] == expected.manifest["bill"]


def test_the_sum_of_all_rows_is_the_bill(known: tuple[Path, Path, Reconciliation]) -> None:
    *_, result = known
    for column, figure in (("billed_cost", "stated"), ("computed_cost", "computed"), ("difference", "difference")):
        assert result.rows[column].drop_nulls().sum() == Decimal(result.manifest["bill"][figure])
