"""A report in another currency: the dollars of each day at the day's own rate, exactly, and dollars beside it."""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost.errors import ConfigError
from callcost.jobs.report import SpendReport, report_spend
from callcost.prices.charges import plain
from callcost.settings import ReportOptions
from tests.command import callcost, write_lines

RATES = {"2026-10-01": Decimal("0.91234567"), "2026-10-03": Decimal("0.9"), "2026-10-05": Decimal("0.87654321")}
OF_DAYS = {1: "2026-10-01", 2: "2026-10-01", 3: "2026-10-03", 4: "2026-10-03", 6: "2026-10-05"}  # day -> whose rate


@pytest.fixture
def fx(tmp_path: Path) -> Path:
    rows = [f"{day},EUR,{rate}" for day, rate in RATES.items()]
    path = tmp_path / "fx.csv"
    path.write_text("\n".join(["date,currency,rate", *rows, "2026-10-01,GBP,0.5", ""]), encoding="utf-8")
    return path


def _log(folder: Path, *more: dict[str, Any]) -> Path:
    rows = [
        {"id": f"c{day}-{user}", "timestamp": f"2026-10-0{day}T23:30:00.5Z", "model": "gpt-4o", "user": user,
         "usage": {"prompt_tokens": 1000 * day + number, "completion_tokens": 7}}
        for day in OF_DAYS
        for number, user in enumerate(("ana", "bo"))
    ]  # fmt: skip
    return write_lines(folder / "calls.jsonl", [*rows, *more])


def _report(log: Path, fx: Path, **more: Any) -> SpendReport:
    return report_spend(ReportOptions(logs=str(log), currency="EUR", fx=str(fx), **more))


def _cost(day: int, number: int) -> Decimal:
    return (1000 * day + number) * Decimal("0.0000025") + 7 * Decimal("0.00001")


def test_each_day_has_its_own_rate_and_every_grouping_the_same_sum(tmp_path: Path, fx: Path) -> None:
    log = _log(tmp_path)
    expected = {
        user: sum((_cost(day, number) * RATES[of] for day, of in OF_DAYS.items()), Decimal(0))
        for number, user in enumerate(("ana", "bo"))
    }
    report = _report(log, fx, by="user")
    assert dict(report.spend.select("user", "total_cost_eur").rows()) == expected
    plain = report_spend(ReportOptions(logs=str(log), by="user"))
    assert report.spend.drop("total_cost_eur").equals(plain.spend)  # dollars are what they were
    whole = sum(expected.values())
    for by in ("model", "day,user", "user,day"):
        assert _report(log, fx, by=by).spend["total_cost_eur"].sum() == whole
    said = report.manifest["currency"]
    assert Decimal(said.pop("total_cost")) == whole
    digest = hashlib.sha256(fx.read_bytes()).hexdigest()
    assert said == {"code": "EUR", "sha256": digest, "rates": 3, "first": "2026-10-01", "last": "2026-10-05"}


def test_a_day_is_one_of_the_reports_time_zone(tmp_path: Path, fx: Path) -> None:
    late = _report(_log(tmp_path), fx, by="day", timezone="Asia/Tokyo").spend  # half past eight on the next day
    rates = [row["total_cost_eur"] / row["total_cost"] for row in late.sort("day").to_dicts()]
    assert rates == [RATES[of] for of in ("2026-10-01", "2026-10-03", "2026-10-03", "2026-10-05", "2026-10-05")]


def test_what_has_no_price_has_none_in_any_currency_and_no_day_has_the_newest_rate(tmp_path: Path, fx: Path) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 7}
    rows = [{"id": "x", "timestamp": "2026-10-02T10:00:00.5Z", "model": "acme-9", "usage": usage},
            {"id": "y", "model": "gpt-4o", "usage": usage}]  # fmt: skip
    spend = _report(write_lines(tmp_path / "calls.jsonl", rows), fx, by="model").spend
    assert dict(spend.select("model", "total_cost_eur").rows()) == {
        "acme-9": None, "gpt-4o": _cost(1, 0) * RATES["2026-10-05"],
    }  # fmt: skip


def test_a_day_before_the_first_rate_is_refused_and_so_is_a_currency_without_rates(tmp_path: Path, fx: Path) -> None:
    early = {"id": "e", "timestamp": "2026-09-30T10:00:00.5Z", "model": "gpt-4o", "usage": {"prompt_tokens": 1}}
    log = _log(tmp_path, early)
    with pytest.raises(ConfigError, match="no rate of EUR for 2026-09-30: the first is of 2026-10-01"):
        _report(log, fx)
    assert _report(log, fx, since="2026-10-01").spend["total_cost_eur"].sum() > 0
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"currency": "EUR"}, "go together"), ({"fx": str(fx)}, "go together"),
        ({"currency": "USD", "fx": str(fx)}, "no other currency"),
        ({"currency": "CHF", "fx": str(fx)}, "no rate of CHF"),
        ({"currency": "EUR", "fx": str(fx), "formats": "focus-1.4"}, "is in US dollars"),
    )  # fmt: skip
    for more, why in wrong:
        with pytest.raises(ConfigError, match=why):
            report_spend(ReportOptions(logs=str(log), **more))


def test_terminal_page_and_workbook_say_it(tmp_path: Path, fx: Path) -> None:
    log, out = _log(tmp_path), tmp_path / "out"
    words = ("report", log, "--currency", "EUR", "--fx", fx, "--by", "user")
    done = callcost(*words)
    assert " EUR" in done.stdout
    assert " EUR)" in done.stderr
    callcost(*words, "--format", "html,xlsx,parquet", "--out", out, "--quiet", out=out)
    assert "total_cost_eur" in pl.read_parquet_schema(out / "spend.parquet")
    assert " EUR</b> at the rates of each day" in (out / "report.html").read_text(encoding="utf-8")


def test_charts_of_the_page_show_the_currency_beside_dollars(tmp_path: Path, fx: Path) -> None:
    report = _report(_log(tmp_path), fx, by="user", formats="html", out=str(tmp_path / "out"))
    page = report.to_html()
    expected = {"cost": report.spend["total_cost"].sum(), "cost in EUR": report.spend["total_cost_eur"].sum()}
    for place, (name, whole) in enumerate(expected.items()):
        view = page.split(f'class="view g0 m{place}"')[1].split("</figure>")[0]
        assert f"{name.capitalize()[:4]}{name[4:]} by day, stacked by model" in view
        days, foot = view.split("<tbody>")[1].split("<tfoot>")
        assert re.findall(r"title=([\d.]+)", foot)[0] == plain(Decimal(whole))
        totals = [Decimal(amounts[0]) for row in days.split("<tr>") if (amounts := re.findall(r"title=([\d.]+)", row))]
        assert sum(totals) == whole
        assert len(totals) == len(OF_DAYS)
    assert ".m3){display:none}" in page
    assert page.count(" name=m ") == 4
