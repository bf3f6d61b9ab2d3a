"""Fetching a bill from servers on loopback that page, restate, limit, fail and lie: what is kept, and what is asked."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from callcost.cli.root import run
from callcost.errors import ConfigError, RunError, UnfinishedError
from callcost.net.bill_pull import Pulled, pull_bills, read_key
from callcost.net.bill_reports import PROVIDERS
from callcost.net.http import Patience
from callcost.stages.reconcile.bill_tables import open_bills
from tests.net.server import Reply, sends, serving

HASTY = Patience(connect=5, read=5, total=10, pause=0.01, attempts=3)
KEY = "sk-admin-0123456789-canary"
NOW = datetime(2026, 11, 3, 9, tzinfo=UTC)
SINCE = datetime(2026, 10, 28, tzinfo=UTC)
DAYS = [date(2026, 10, 28) + timedelta(days=number) for number in range(6)]  # to 2 November
Results = Callable[[str, date], list[dict[str, Any]]]


def epoch(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def openai_results(path: str, day: date) -> list[dict[str, Any]]:
    owner = {"project_id": "proj_1", "api_key_id": "key_1" if day >= DAYS[2] else None}
    if path.endswith("/costs"):
        amount = {"value": 1.29e-05, "currency": "usd"}
        return [{"object": "organization.costs.result", "amount": amount, "line_item": "gpt-4o-2024-08-06, input",
                 "quantity": None, **owner}]  # fmt: skip
    if path.endswith("/completions"):
        return [{"object": "organization.usage.completions.result", "input_tokens": 1000, "input_cached_tokens": 400,
                 "output_tokens": 5, "num_model_requests": 1, "model": "gpt-4o-2024-08-06", "batch": False,
                 "user_id": None, "service_tier": "default", **owner}]  # fmt: skip
    return []


def anthropic_results(path: str, _day: date) -> list[dict[str, Any]]:
    if path.endswith("cost_report"):
        return [{"amount": "41280.000000", "currency": "USD", "cost_type": "tokens", "model": "claude-sonnet-4-5",
                 "token_type": "output_tokens", "description": "Claude Sonnet 4.5 Usage - Output Tokens",
                 "workspace_id": None, "service_tier": "standard", "context_window": "0-200k"}]  # fmt: skip
    return [{"uncached_input_tokens": 10, "output_tokens": 7, "cache_read_input_tokens": 0, "api_key_id": "apikey_1",
             "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
             "model": "claude-sonnet-4-5", "workspace_id": None}]  # fmt: skip


def openrouter_results(_path: str, day: date) -> list[dict[str, Any]]:
    return [{"date": f"{day}", "model": "openai/gpt-4.1", "model_permaslug": "openai/gpt-4.1-2025-04-14",
             "endpoint_id": "e1", "provider_name": "OpenAI", "usage": 0.015, "byok_usage_inference": 0, "requests": 5,
             "prompt_tokens": 50, "completion_tokens": 125, "reasoning_tokens": 25}]  # fmt: skip


RESULTS: dict[str, Results] = {
    "openai": openai_results, "anthropic": anthropic_results, "openrouter": openrouter_results,
}  # fmt: skip


@dataclasses.dataclass
class Provider:
    """A provider on loopback: pages of so many days, results that a test may change, and what it was asked."""

    name: str
    url: str = ""
    days_of_a_page: int = 4
    results: Results = openai_results
    asked: list[tuple[str, dict[str, list[str]]]] = dataclasses.field(default_factory=list)
    headers: list[dict[str, str]] = dataclasses.field(default_factory=list)
    spoil: Callable[[str, dict[str, Any]], Any] = lambda _path, page: page
    before: list[Reply] = dataclasses.field(default_factory=list)

    def page(self, path: str, query: dict[str, list[str]]) -> Any:
        """Return what a query gets, in the provider's own form."""
        if self.name == "openrouter":
            return {"data": self.results(path, date.fromisoformat(query["date"][0]))}
        as_time = epoch if self.name == "openai" else lambda day: f"{day}T00:00:00Z"
        first, last = (query[name][0] for name in PROVIDERS[self.name].interval[:2])
        wanted = [day for day in DAYS if str(first) <= str(as_time(day)) < str(last)]
        begin = int(query.get("page", ["0"])[0].removeprefix("page_"))
        shown, more = wanted[begin : begin + self.days_of_a_page], begin + self.days_of_a_page
        start, end = PROVIDERS[self.name].bucket
        buckets = [
            {start: as_time(day), end: as_time(day + timedelta(days=1)), "results": self.results(path, day)}
            for day in shown
        ]
        has_more = more < len(wanted)
        return {"data": buckets, "has_more": has_more, "next_page": f"page_{more}" if has_more else None}

    def reply(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        parts = urlsplit(request.path)
        query = parse_qs(parts.query)
        self.asked.append((parts.path, query))
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        answer = sends(json.dumps(self.spoil(parts.path, self.page(parts.path, query))).encode())
        (self.before.pop(0) if self.before else answer)(request)

    def pull(self, out: Path, **words: Any) -> Pulled:
        """Pull its bill."""
        asked: dict[str, Any] = {"since": SINCE, "now": NOW, "address": self.url, "patience": HASTY} | words
        return pull_bills(self.name, str(out), KEY, **asked)


@contextlib.contextmanager
def provider(name: str, **words: Any) -> Iterator[Provider]:
    found = Provider(name, results=RESULTS[name], **words)
    with serving(found.reply) as server:
        found.url = server.address
        yield found


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def lines_of(folder: Path) -> list[tuple[str, int]]:
    """Return the amounts of a bill, as reconcile reads it: provider, millionths of a dollar a day."""
    return sorted(
        (line.provider, int(line.amount * 1_000_000))
        for line in open_bills([str(folder)]).lines
        if line.amount is not None
    )


@pytest.mark.parametrize(
    ("name", "amount"), [("openai", 12), ("anthropic", 412_800_000), ("openrouter", 15_000)]
)  # cents, dollars, and 1.29e-05
def test_all_pages_of_a_bill_arrive_and_reconcile_reads_them(name: str, amount: int, tmp_path: Path) -> None:
    with provider(name) as server:
        pulled = server.pull(tmp_path)
    assert lines_of(tmp_path) == [(name, amount)] * len(DAYS)
    assert open_bills([str(tmp_path)]).periods[name] == (epoch(DAYS[0]) * 10**6, (epoch(DAYS[-1]) + 86_400) * 10**6)
    assert {tuple(days) for days in pulled.new.values()} == {tuple(DAYS)}
    assert pulled.open == {DAYS[-1]}  # its lag of 24 hours is not over
    assert not pulled.missing


def test_a_second_pull_asks_for_open_days_alone_and_changes_nothing(tmp_path: Path) -> None:
    with provider("anthropic") as server:
        server.pull(tmp_path)
        before, asked = files_of(tmp_path), len(server.asked)
        again = server.pull(tmp_path)
        assert not any(again.new.values()) | any(again.restated.values())
        assert files_of(tmp_path) == before
        assert {query["starting_at"][0] for _, query in server.asked[asked:]} == {f"{DAYS[-1]}T00:00:00Z"}
        asked = len(server.asked)
        server.pull(tmp_path, now=NOW + timedelta(days=1), until=NOW)
        server.pull(tmp_path, now=NOW + timedelta(days=9), until=NOW)
        assert len(server.asked) == asked + 2  # the lag is over now: two reports once more, then none


def test_a_restated_bucket_takes_the_place_of_what_it_said(tmp_path: Path) -> None:
    with provider("openai") as server:
        server.pull(tmp_path)

        def restated(path: str, day: date) -> list[dict[str, Any]]:
            rows = openai_results(path, day)
            changed = {"amount": {"value": 2.0, "currency": "usd"}, "line_item": "o3, output"}
            return [row | changed for row in rows] if path.endswith("/costs") and day == DAYS[-1] else rows

        server.results = restated
        pulled = server.pull(tmp_path)
    assert pulled.restated["costs"] == [DAYS[-1]]
    assert lines_of(tmp_path) == [("openai", 12)] * (len(DAYS) - 1) + [("openai", 2_000_000)]


def test_a_pull_that_breaks_off_goes_on_where_it_ended(tmp_path: Path) -> None:
    with provider("openai", days_of_a_page=2) as server:
        server.spoil = lambda _path, page: page if page["data"][0]["start_time"] < epoch(DAYS[2]) else []
        with pytest.raises(RunError, match="no page of a report"):
            server.pull(tmp_path)
        assert lines_of(tmp_path) == [("openai", 12)] * 2
        server.spoil, server.asked[:] = lambda _path, page: page, []
        server.pull(tmp_path)
        assert server.asked[0][1]["start_time"] == [str(epoch(DAYS[2]))]
    assert lines_of(tmp_path) == [("openai", 12)] * len(DAYS)


def test_a_later_report_that_fails_leaves_the_others_and_says_so(tmp_path: Path) -> None:
    with provider("openai") as server:
        server.spoil = lambda path, page: [] if path.endswith("embeddings") else page
        with pytest.raises(UnfinishedError, match="usage-embeddings of openai is not kept") as caught:
            server.pull(tmp_path)
    assert "goes on" in caught.value.hint
    assert lines_of(tmp_path) == [("openai", 12)] * len(DAYS)


def test_a_server_that_is_busy_is_left_alone_as_long_as_it_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("callcost.net.http.time.sleep", waits.append)
    busy = [sends(b"", status=429, Retry_After="7"), sends(b"", status=529), sends(b"", status=503, Retry_After="60")]
    with provider("anthropic") as server:
        server.before = busy[:2]
        server.pull(tmp_path)
        assert waits[:2] == [7, 0.02]
        server.before = busy[2:]
        with pytest.raises(RunError, match="asks to be left alone for 60 seconds"):
            server.pull(tmp_path)


def _bucket(**changed: Any) -> Callable[[str, dict[str, Any]], Any]:
    def spoil(_path: str, page: dict[str, Any]) -> Any:
        page["data"][0] |= changed
        return page

    return spoil


def _result(**changed: Any) -> Callable[[str, dict[str, Any]], Any]:
    def spoil(_path: str, page: dict[str, Any]) -> Any:
        page["data"][0]["results"][0] |= changed
        return page

    return spoil


def _twice(_path: str, page: dict[str, Any]) -> Any:
    page["data"].append(page["data"][0] | {"results": []})
    return page


LIES: list[tuple[str, Callable[[str, dict[str, Any]], Any], str]] = [
    ("openai", lambda _path, _page: {"error": "none"}, "no page of a report"),
    ("openai", lambda _path, page: page | {"has_more": True}, "its pages have no end"),
    ("openai", lambda _path, page: page | {"has_more": True, "next_page": "page_0"}, "its pages have no end"),
    ("openai", lambda _path, page: page | {"has_more": "yes"}, "no page of a report"),
    ("openai", _bucket(start_time=epoch(DAYS[0]) + 3600), "no UTC day"),
    ("openai", _bucket(end_time=epoch(DAYS[3])), "no UTC day"),
    ("openai", _bucket(start_time=epoch(DAYS[0]) - 86400, end_time=epoch(DAYS[0])), "was not asked for"),
    ("openai", _bucket(start_time=None), "no UTC day"),
    ("openai", _bucket(results=None), "no bucket"),
    ("openai", _bucket(results=[1]), "no bucket"),
    ("openai", _twice, "twice, and not the same"),
    ("openai", _result(amount=0.06), "not the form that is documented"),
    ("openai", _result(amount={"value": "much", "currency": "usd"}), "cannot be read: bad_amount"),
    ("anthropic", _result(amount=412.8), "not the form that is documented"),  # dollars, where cents are text
    ("anthropic", _result(amount="NaN"), "cannot be read: bad_amount"),
    ("openrouter", lambda _path, page: {"data": [page["data"][0] | {"date": "2026-10-01"}]}, "is of another day"),
    ("openrouter", lambda _path, page: {"data": [{"date": page["data"][0]["date"]}]}, "not the form"),
]


@pytest.mark.parametrize(("name", "spoil", "why"), LIES, ids=[f"{name} {why}" for name, _, why in LIES])
def test_an_answer_that_is_not_what_was_asked_for_is_refused_whole(
    name: str, spoil: Callable[[str, dict[str, Any]], Any], why: str, tmp_path: Path
) -> None:
    with provider(name, spoil=spoil, days_of_a_page=9) as server, pytest.raises(RunError, match=why):
        server.pull(tmp_path / "bill")
    assert not (tmp_path / "bill").exists() or "no end" in why


def test_days_that_a_provider_says_nothing_of_are_named_and_asked_for_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(_path: str, page: dict[str, Any]) -> Any:
        return page | {"data": [each for each in page["data"] if each["starting_at"][:10] != str(DAYS[1])]}

    monkeypatch.setenv("ANTHROPIC_ADMIN_API_KEY", KEY)
    with provider("anthropic", spoil=lacking) as server:
        words = ["--since", str(DAYS[0]), "--until", "2026-11-03", "--out", str(tmp_path / "bill"), "--url", server.url]
        assert run(["bills", "pull", "anthropic", *words]) == 4
        assert f"cost says nothing of {DAYS[1]}: pull again" in capfd.readouterr().err
        server.spoil = lambda _path, page: page
        assert run(["bills", "pull", "anthropic", *words]) == 0
        assert "anthropic, 2026-10-28 to 2026-11-02: 1 new day, in " in capfd.readouterr().err
        assert run(["bills", "pull", "anthropic", *words]) == 0
        assert capfd.readouterr().err == "anthropic, 2026-10-28 to 2026-11-02: nothing changed\n"


def test_a_key_goes_to_its_provider_and_nowhere_else(tmp_path: Path) -> None:
    """No file, no word of an error and no other server gets it, also where one sends on to another."""
    with provider("anthropic") as other, provider("anthropic") as server:
        server.pull(tmp_path / "bill")
        assert {headers["x-api-key"] for headers in server.headers} == {KEY}
        assert KEY.encode() not in b"".join(files_of(tmp_path / "bill").values())
        server.before = [sends(b"", status=307, Location=f"{other.url}/elsewhere")]
        with pytest.raises(RunError, match="another server, which gets no key"):
            server.pull(tmp_path / "new")
        server.before = [sends(f'{{"error": "not {KEY}"}}'.encode(), status=401)]
        with pytest.raises(RunError, match="answered 401") as caught:
            server.pull(tmp_path / "new")
        assert KEY not in str(caught.value)
        assert "admin key (ANTHROPIC_ADMIN_API_KEY)" in caught.value.hint
        assert not other.asked
    with pytest.raises(ConfigError, match="over https only"):
        pull_bills("openai", str(tmp_path), KEY, since=SINCE, now=NOW, address="http://gateway.example/v1")


def test_a_key_is_read_from_the_environment_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    assert read_key("OPENAI_ADMIN_KEY", {"OPENAI_ADMIN_KEY": f" {KEY} "}, None) == KEY
    assert read_key("OPENAI_ADMIN_KEY", {}, str(file)) == KEY
    with pytest.raises(ConfigError, match="OPENAI_ADMIN_KEY is not set"):
        read_key("OPENAI_ADMIN_KEY", {}, None)
    file.write_text(f"export KEY={KEY} 2")
    with pytest.raises(ConfigError, match="is no key") as caught:
        read_key("OPENAI_ADMIN_KEY", {}, str(file))
    assert KEY not in str(caught.value)


def test_what_a_provider_does_not_say_of_early_days_is_said(tmp_path: Path) -> None:
    with provider("openai") as server:
        assert server.pull(tmp_path).keys_since == {"costs": DAYS[2], "usage-completions": DAYS[2]}
    with provider("openrouter") as server:
        pulled = server.pull(tmp_path, since=datetime(2026, 9, 1, tzinfo=UTC))
        assert (pulled.too_old, len(server.asked)) == (33, 30)
    with pytest.raises(ConfigError, match="no whole day"), provider("openai") as server:
        server.pull(tmp_path, since=NOW)


def test_a_damaged_file_is_fetched_again(tmp_path: Path) -> None:
    with provider("anthropic") as server:
        server.pull(tmp_path)
        before = files_of(tmp_path)
        (tmp_path / "anthropic-cost-2026-10.json").write_bytes(before["anthropic-cost-2026-10.json"][:-40])
        server.pull(tmp_path)
    assert files_of(tmp_path) == before
