"""`callcost report --format html`: every figure is spend's, no name breaks out, and the page is small."""

from __future__ import annotations

import csv
import html
import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from callcost.stages.pages.overview import budgets_section, unusual_section
from callcost.stages.pages.report_page import MOST_BYTES
from tests.browser import Page, open_browser
from tests.command import Finished, callcost, report, write_lines

CANARY = "kanarienvogel"
HOSTILE = (
    "</script><script>globalThis.broken=1</script>", '"><img src=x onerror=globalThis.broken=1>', "a\u202eb\u2066c",
    "'=1+1'", "&lt;b&gt;", "</style><style>body{display:none}", "x" * 500, "a\x00\x1b[2Jb", "]]>--><!--",
)  # fmt: skip
PRICED = ("gpt-4o", "o3", "gpt-4o-mini")
START = datetime(2026, 9, 16, 9, tzinfo=UTC)


MODELS = (
    "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "o1", "o3", "o3-mini", "o4-mini", "gpt-5",
    "gpt-5-mini", "gpt-5-nano", "gpt-4-turbo", "gpt-3.5-turbo", "claude-3-5-haiku-20241022", "claude-sonnet-4-20250514",
    "claude-opus-4-20250514", "claude-3-7-sonnet-20250219", "gemini-2.5-pro", "acme-llm-9",
)  # fmt: skip


def _call(number: int, model: str, user: str | None, *, days: float = 0, **more: Any) -> dict[str, Any]:
    return {
        "id": f"call-{number}",
        "timestamp": (START + timedelta(days=days, microseconds=number + 1)).isoformat(),
        "model": model,
        "user": user,
        "messages": [{"role": "user", "content": CANARY}],
        "response": CANARY,
        "usage": {"prompt_tokens": 1000 + number * 7, "completion_tokens": 100 + number},
        **more,
    }


def _hostile_log(folder: Path) -> Path:
    rows = [
        _call(
            n, (*PRICED, name)[n % 4], name, days=n / 6, team=name, session=name, tags={"env": name}
        )
        for n, name in enumerate(HOSTILE * 4)
    ]  # fmt: skip
    return write_lines(folder / "calls.jsonl", [*rows, b"{"])


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A report of 6 days whose every name is hostile, as csv and as a page."""
    folder = tmp_path_factory.mktemp("hostile")
    words = ("--by", "model,user,team,tag:env", "--format", "csv,html", "--calls", "--quiet")
    return report([_hostile_log(folder)], folder / "out", *words)


class _Tables(HTMLParser):
    """The tables of a page: caption -> rows of (text, title) of each cell; and all elements with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[tuple[str, str | None]]]] = {}
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._rows: list[list[tuple[str, str | None]]] = []
        self._caption, self._in = "", ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "table":
            self._rows, self._caption = [], ""
        elif tag == "tr":
            self._rows.append([])
        elif tag in {"td", "th"}:
            self._rows[-1].append(("", dict(attrs).get("title")))
        self._in = tag if tag in {"caption", "td", "th"} else self._in

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self.tables[self._caption] = self._rows
            self._in = ""
        elif tag == "caption":
            self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in == "caption":
            self._caption += data
        elif self._in in {"td", "th"} and self._rows and self._rows[-1]:
            text, title = self._rows[-1][-1]
            self._rows[-1][-1] = (text + data, title)


def _page_of(finished: Finished) -> str:
    return (finished.out / "report.html").read_text(encoding="utf-8")


def _exact(cell: tuple[str, str | None]) -> str:
    """Return a figure of the page as spend.csv has it."""
    text, title = cell
    return title if title is not None else "" if text == "–" else text.replace(",", "")


@pytest.mark.parametrize("column", ["model", "user", "team", "tag:env"])
def test_every_figure_of_a_group_is_that_of_spend_csv(hostile: Finished, tmp_path: Path, column: str) -> None:
    spend = report([hostile.out], tmp_path, "--by", column, "--format", "csv", "--quiet").spend
    expected = [(row["total_cost"], row["calls"], row["total_tokens"]) for row in spend]
    title = column if column.startswith("tag:") else f"{column}s"
    tables = _Tables(_page_of(hostile)).tables
    (caption,) = [name for name in tables if name.lower().startswith(f"{title}, the dearest")]
    _, *rows, total = tables[caption]
    assert [(_exact(row[1]), _exact(row[3]), _exact(row[5])) for row in rows] == expected
    assert _exact(total[1]) == hostile.manifest["totals"]["total_cost"]


@pytest.mark.parametrize(("measure", "name"), [("total_cost", "Cost"), ("total_tokens", "Tokens"), ("calls", "Calls")])
def test_every_figure_of_a_day_is_that_of_spend_csv(hostile: Finished, tmp_path: Path, measure: str, name: str) -> None:
    spend = report([hostile.out], tmp_path, "--by", "day,model", "--format", "csv", "--quiet").spend
    expected = {(row["day"], row["model"]): row[measure] for row in spend if row[measure]}
    ((caption, (head, *rows, total)),) = [
        (caption, table)
        for caption, table in _Tables(_page_of(hostile)).tables.items()
        if caption.startswith(f"{name} by day, stacked by model")
    ]
    shown = {
        (row[0][0], title[0]): _exact(cell)
        for row in rows
        for title, cell in zip(head[2:], row[2:], strict=True)
        if _exact(cell) and "other" not in title[0]
    }
    assert caption.endswith({"Cost": "US dollars"}.get(name, name.lower()))
    of_spend, of_page = ({key: table[key] for key in table if key[1] in PRICED} for table in (expected, shown))
    assert of_page == of_spend
    assert sum(Decimal(_exact(row[1])) for row in rows if _exact(row[1])) == Decimal(_exact(total[1]))
    assert _exact(total[1]) == str(hostile.manifest["totals"][measure])


def test_names_out_of_logs_never_break_out_and_no_message_text_shows(hostile: Finished) -> None:
    page = _page_of(hostile)
    found = _Tables(page).elements
    tags = [tag for tag, _ in found]
    assert (tags.count("script"), tags.count("style"), tags.count("img")) == (1, 1, 0)
    assert not {name for _, attributes in found for name in attributes if name.startswith("on") or name == "style"}
    assert not {"src", "href"} & {name for _, attributes in found for name in attributes}
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x1b]", page)
    assert CANARY not in page
    assert html.escape(HOSTILE[0], quote=True) in page


def test_a_page_is_the_same_each_time_and_on_stdout(hostile: Finished, tmp_path: Path) -> None:
    log, page = tmp_path / "calls.jsonl", _page_of(hostile)
    log.write_bytes((hostile.out.parent / "calls.jsonl").read_bytes())
    for source in (log, hostile.out):
        words = ("--by", "model,user,team,tag:env", "--format", "html", "--out", "-", "--quiet")
        assert callcost("report", source, *words).stdout == page


def test_a_report_with_a_state_writes_the_same_page(hostile: Finished, tmp_path: Path) -> None:
    log = hostile.out.parent / "calls.jsonl"
    words = ("--by", "model,user,team,tag:env", "--format", "html", "--state", tmp_path / "state", "--quiet")
    finished = report([log], tmp_path / "out", *words)
    assert _page_of(finished) == _page_of(hostile)


def test_a_page_of_60_days_and_20_models_has_at_most_300_kilobytes(tmp_path: Path) -> None:
    cells = itertools.product(range(60), range(20))
    rows = [
        _call(
            n, MODELS[model], f"user-{n % 37}@example.com", days=day, team=f"team-{n % 11}",
            tags={"env": f"stage-{n % 5}"}, session=f"session-{n}",
        )
        for n, (day, model) in enumerate(cells)
    ]  # fmt: skip
    finished = report([write_lines(tmp_path / "calls.jsonl", rows)], tmp_path / "out", "--format", "html", "--quiet")
    assert 150_000 < (finished.out / "report.html").stat().st_size <= MOST_BYTES


def test_a_report_without_a_call_is_a_page_too(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "calls.jsonl", [b"{"])
    page = _page_of(report([log], tmp_path / "out", "--format", "html", "--quiet", expect=1))
    assert "broken json" in page


def test_an_interval_is_compared_with_the_time_before_it(tmp_path: Path) -> None:
    rows = [_call(n, "gpt-4o", ("ana", "bo")[n % 2], days=3 * n) for n in range(15)]  # from 16 September on
    log = write_lines(tmp_path / "calls.jsonl", rows)
    october = ("--since", "2026-10-01", "--until", "2026-11-01", "--by", "user")
    page = report([log], tmp_path / "a", *october, "--format", "html,csv", "--quiet")
    before = report([log], tmp_path / "b", "--since", "2026-09", "--until", "2026-10-01", "--by", "user", "--quiet")
    table = _Tables(_page_of(page)).tables["Cost, 1 Oct to 31 Oct 2026 against 1 Sep to 30 Sep 2026"]
    shown = {row[0][0]: (_exact(row[1]), _exact(row[2])) for row in table[1:]}
    assert {name: costs for name, costs in shown.items() if name.startswith("user ")} == {
        f"user {old['user']}": (old["total_cost"], new["total_cost"])
        for old in before.spend
        for new in page.spend
        if old["user"] == new["user"]
    }
    whole = Decimal(page.manifest["totals"]["total_cost"]) - Decimal(before.manifest["totals"]["total_cost"])
    assert f"title={whole.normalize():f}>+$" in _page_of(page)


def test_savings_are_those_that_what_if_suggests(tmp_path: Path) -> None:
    rows = [_call(n, ("gpt-4o", "o3")[n % 2], "ana", days=n) for n in range(6)]
    finished = report([write_lines(tmp_path / "calls.jsonl", rows)], tmp_path / "a", "--format", "html", "--calls")
    asked = callcost("what-if", finished.out, "--suggest", "--format", "csv", "--quiet").stdout
    suggested = [(row["model"], row["saved_cost"], row["month_cost"]) for row in csv.DictReader(asked.splitlines())]
    (table,) = [rows for name, rows in _Tables(_page_of(finished)).tables.items() if name.startswith("What could be")]
    assert [(row[0][0], _exact(row[4]), _exact(row[5])) for row in table[1:]] == suggested != []


def test_a_page_of_an_earlier_run_is_no_log(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "calls.jsonl", [_call(1, "gpt-4o", "ana")])
    for kinds in ("html", "csv", "csv"):
        finished = report([tmp_path], tmp_path / "out", "--format", kinds, "--quiet")
    assert log.exists()
    assert (finished.records["records"], finished.records["calls"]) == (1, 1)


def test_budgets_and_unusual_days_show_their_figures() -> None:
    budget = {"name": "<team>", "period": "month", "amount": "100", "spent": "140.5", "expected": None, "left": "-40.5"}
    (_, row), *_ = _Tables(budgets_section([budget])).tables.values()
    assert [_exact(cell) for cell in row] == ["<team> a month", "100", "140.5", " 140.5%", "", "-40.5"]
    driver = {"column": "model", "value": "<gpt>", "cost": "8.25", "expected": "2"}
    day = {"day": "2026-11-20", "cost": "9.0001", "expected": "3", "driver": driver}
    (_, row), *_ = _Tables(unusual_section([day])).tables.values()
    assert [_exact(cell) for cell in row] == ["2026-11-20", "model <gpt>: $8.25 usually $2.00", "9.0001", "3"]


# --- In a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with open_browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


SHOWN = "[...document.querySelectorAll('.view')].filter(v => v.checkVisibility()).map(v => v.className).join()"
DRAWN = "[...document.querySelectorAll('.g0.m0 .bars path, .heat path')].filter(p => p.getBBox().height > 0).length"
CUT = "[...document.querySelectorAll('.scroll')].some(s => s.checkVisibility() && s.scrollWidth > s.clientWidth)"
CALLS = "[...document.querySelector('table.sortable').tBodies[0].rows].map(r => +r.cells[3].textContent)"


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1400, "light")])
def test_a_page_works_in_a_browser(browser: Page, hostile: Finished, width: int, scheme: str) -> None:
    path = hostile.out / "report.html"
    browser.open(path, width=width, scheme=scheme)
    assert browser.run(DRAWN) > 4
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert width < 1400 or not browser.run(CUT)  # no table hides its last columns, which are the costs
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(244, 245, 247)") == (scheme == "light")

    assert browser.run(SHOWN) == "view g0 m0"
    browser.run("document.querySelector('#g1').click(), document.querySelector('#m2').click()")
    assert browser.run(SHOWN) == "view g1 m2"
    browser.run("document.querySelector('#g1').focus()")
    browser.press("ArrowRight")
    assert browser.run(SHOWN) == "view g2 m2"

    browser.run("document.querySelector('.view.g2.m2 .bars').focus()")
    browser.press("End")
    row = browser.run("document.querySelector('.view.g2.m2 tbody tr:last-child').textContent")
    tip = browser.run("document.querySelector('.tip').textContent")
    assert tip.startswith(row[:10])
    browser.run("document.querySelector('table.sortable th:nth-child(4) button').click()")
    calls = browser.run(CALLS)
    assert len(calls) > 4
    assert calls == sorted(calls, reverse=True)

    assert browser.run("globalThis.broken") is None
    assert browser.trouble == []
    assert browser.requests == [path.as_uri()]


def test_a_page_reads_and_switches_without_script(browser: Page, hostile: Finished) -> None:
    browser.ask("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(hostile.out / "report.html", width=1400, scheme="light")
    assert browser.run("document.querySelector('.tip')") is None
    assert (browser.run(SHOWN), browser.run(DRAWN) > 4) == ("view g0 m0", True)
    browser.run("document.querySelector('#g1').click()")
    assert browser.run(SHOWN) == "view g1 m0"
    browser.ask("Emulation.setScriptExecutionDisabled", value=False)
