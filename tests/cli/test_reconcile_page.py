"""The page and the workbook of a reconciliation: figures of its tables, no name breaks out, no address is asked."""

from __future__ import annotations

import html
import io
import re
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from callcost.jobs.reconcile import Reconciliation, reconcile_costs
from callcost.settings import ReconcileOptions
from tests.browser import open_browser
from tests.jobs.bill_faults import FAULTS, make_world, write_world

HOSTILE = '</script><img src=x onerror="globalThis.broken=1">\u202e=1+1'


@pytest.fixture(scope="module")
def reconciled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Reconciliation, Path]:
    folder = tmp_path_factory.mktemp("bill")
    world = make_world()
    for fault in FAULTS.values():
        fault(world)
    log, bill = write_world(folder, world)
    for path in bill.rglob("*"):
        if path.is_file():
            escaped = HOSTILE.replace('"', '\\"')
            path.write_text(path.read_text(encoding="utf-8").replace("Concierge", escaped), encoding="utf-8")
    out = folder / "gap"
    options = ReconcileOptions(
        logs=str(log), bills=str(bill), out=str(out), as_of=datetime(2026, 1, 1, tzinfo=UTC), formats="html,xlsx",
    )  # fmt: skip
    return reconcile_costs(options), out


def test_every_amount_of_the_page_is_one_of_the_tables(reconciled: tuple[Reconciliation, Path]) -> None:
    result, out = reconciled
    page = (out / "reconcile.html").read_text(encoding="utf-8")
    exact = {Decimal(text) for text in re.findall(r"title=\"?(-?[\d.]+)[\" >]", page)}
    totals = result.manifest["bill"]
    known = {Decimal(totals[name]) for name in ("stated", "computed", "difference", "unexplained")}
    for table in (result.gap.causes, result.gap.days, result.gap.lines):
        known |= {amount for column in table.select(pl.selectors.decimal()) for amount in column.drop_nulls()}
    known |= {step["amount"] for step in result.gap.steps}
    assert exact <= known
    assert {row["amount"] for row in result.gap.causes.to_dicts()} <= exact
    assert result.gap.causes.filter(pl.col("against") == "bill")["amount"].sum() == Decimal(totals["difference"])


def test_no_label_of_a_bill_breaks_out_of_the_page(
    reconciled: tuple[Reconciliation, Path], tmp_path: Path
) -> None:
    _, out = reconciled
    page = (out / "reconcile.html").read_text(encoding="utf-8")
    assert "<img" not in page
    assert "\u202e" not in page
    assert html.escape("</script><img") in page
    with open_browser(tmp_path) as browser:
        for width, scheme in ((1240, "light"), (400, "dark")):
            browser.open(out / "reconcile.html", width=width, scheme=scheme)
            assert browser.run("typeof globalThis.broken") == "undefined"
            assert browser.run("document.querySelectorAll('h2').length") == 4
            assert browser.run("document.documentElement.scrollWidth <= innerWidth")
            assert browser.requests == [(out / "reconcile.html").as_uri()]
            assert not browser.trouble


def test_the_workbook_has_its_four_sheets_and_no_formula(reconciled: tuple[Reconciliation, Path]) -> None:
    _, out = reconciled
    with zipfile.ZipFile(io.BytesIO((out / "reconcile.xlsx").read_bytes())) as book:
        names = re.findall(r'<sheet name="([^"]+)"', book.read("xl/workbook.xml").decode())
        sheets = b"".join(book.read(name) for name in book.namelist() if "worksheets" in name)
    assert names == ["summary", "causes", "days", "unmapped lines"]
    assert b"<f>" not in sheets
    assert sorted(path.name for path in out.iterdir()) == ["manifest.json", "reconcile.html", "reconcile.xlsx"]
