"""`callcost agents` over planted homes: the figures are computed by hand from the providers' prices of March 2026."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from callcost.errors import ConfigError
from callcost.jobs.analysis.agents import local_zone, paid_for, read_plan
from callcost.logs.coding_agents import AGENTS
from tests.command import Finished, callcost, report, write_lines

CANARY = "kanarienvogel"
SONNET, HAIKU = "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001"
COSTS = {
    SONNET: Decimal("0.7845"),  # $3 input, $3.75 and $6 cache writes, $0.30 reads, $15: .03 + .1875 + .24 + .027 + .30
    HAIKU: Decimal("0.15"),  # $1 and $5: .10 + .05
    "gpt-5": Decimal("0.38125"),  # $1.25, cached $0.125, $10: .0625 + .01875 + .30
    "gemini-2.5-pro": Decimal("0.16"),  # the same rates: .075 + .005 + .08
}
WHOLE = sum(COSTS.values())


def _answer(message: str, at: str, model: str = SONNET, *, output: int = 20_000, **more: Any) -> dict[str, Any]:
    written = {"ephemeral_5m_input_tokens": 50_000, "ephemeral_1h_input_tokens": 40_000}
    usage: dict[str, Any] = {
        "input_tokens": 10_000, "cache_creation_input_tokens": 90_000, "cache_read_input_tokens": 90_000,
        "cache_creation": written, "output_tokens": output, "service_tier": "standard",
    }  # fmt: skip
    if model == HAIKU:
        usage = {"input_tokens": 100_000, "output_tokens": 10_000}
    answer = {"id": message, "type": "message", "role": "assistant", "model": model, "usage": usage,
              "content": [{"type": "text", "text": CANARY}]}  # fmt: skip
    row = {"parentUuid": None, "isSidechain": False, "cwd": "/home/ida/tides", "sessionId": "s-1", "gitBranch": "main",
           "version": "2.1.0", "type": "assistant", "message": answer, "requestId": f"req_{message}",
           "uuid": f"{message}-{output}", "timestamp": at}  # fmt: skip
    return row | more


def _asked(at: str) -> dict[str, Any]:
    return _answer("", at) | {"type": "user", "message": {"role": "user", "content": CANARY}}


def _counted(at: str, prompt: int, cached: int, output: int, plan: str | None) -> dict[str, Any]:
    counts = {"input_tokens": prompt, "cached_input_tokens": cached, "output_tokens": output,
              "reasoning_output_tokens": 10_000, "total_tokens": prompt + output}  # fmt: skip
    info = {"total_token_usage": counts, "last_token_usage": counts, "model_context_window": 272_000}
    limits = {"limit_id": "codex", "primary": {"used_percent": 3.0}, "plan_type": plan}
    payload = {"type": "token_count", "info": info, "rate_limits": limits}
    return {"timestamp": at, "type": "event_msg", "payload": payload}


def plant_claude(home: Path) -> None:
    """A session, the one that resumed it, a sub-agent, and what lies beside them."""
    project = home / "projects/-home-ida-tides"
    rows = [_asked("2026-03-01T23:29:00Z"), _answer("msg_1", "2026-03-01T23:30:00Z", output=1),
            _answer("msg_1", "2026-03-01T23:30:02Z")]  # fmt: skip
    write_lines(project / "s-1.jsonl", rows)
    write_lines(project / "s-2.jsonl", [rows[2] | {"sessionId": "s-2"}])
    agent = _answer("msg_2", "2026-03-02T12:00:00Z", HAIKU, isSidechain=True)
    write_lines(project / "s-1/subagents/agent-1.jsonl", [agent])
    for name, text in {
        "settings.json": '{"model": "opus"}', "history.jsonl": json.dumps({"display": CANARY, "pastedContents": {}}),
        "todos/s-1-agent.json": json.dumps([{"content": CANARY, "status": "pending"}]), "statsig/cache": "{",
        "stats-cache.json": json.dumps({"version": 1, "modelUsage": {SONNET: {"inputTokens": 5}}}),
        "shell-snapshots/snapshot.sh": "#!/bin/sh\n", "plugins/config.json": "{}", "ide/1.lock": "x",
        "projects/-home-ida-tides/sessions-index.json": json.dumps({"entries": [{"summary": CANARY}]}),
        "projects/-home-ida-tides/memory/MEMORY.md": CANARY, "CLAUDE.md": CANARY,
        "projects/-home-ida-tides/s-1/tool-results/toolu_1.txt": json.dumps({"model": "gpt-4o", "usage": {"a": 9}}),
    }.items():  # fmt: skip
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text, encoding="utf-8")


def plant_codex(home: Path, *, plan: str | None = "plus") -> None:
    """A rollout whose last event repeats its sums, and what lies beside it."""
    meta = {"id": "cx-1", "timestamp": "2026-03-02T09:00:00Z", "cwd": "/home/ida/locks", "git": {"branch": "gates"}}
    write_lines(home / "sessions/2026/03/02/rollout-2026-03-02T09-00-00-cx-1.jsonl", [
        {"timestamp": "2026-03-02T09:00:00Z", "type": "session_meta", "payload": meta},
        {"timestamp": "2026-03-02T09:00:01Z", "type": "turn_context", "payload": {"model": "gpt-5"}},
        {"timestamp": "2026-03-02T09:00:02Z", "type": "response_item",
         "payload": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": CANARY}]}},
        _counted("2026-03-02T09:00:05Z", 200_000, 150_000, 30_000, plan),
        _counted("2026-03-02T09:00:06Z", 200_000, 150_000, 30_000, plan),
    ])  # fmt: skip
    for name, text in {
        "config.toml": 'model = "gpt-5"\n', "auth.json": json.dumps({"OPENAI_API_KEY": CANARY}), "version.json": "{}",
        "history.jsonl": json.dumps({"session_id": "cx-1", "ts": 1, "text": CANARY}), "log/codex-tui.log": CANARY,
        "session_index.jsonl": json.dumps({"id": "cx-1", "thread_name": CANARY}), "models_cache.json": '{"models": []}',
    }.items():  # fmt: skip
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text, encoding="utf-8")


def plant_gemini(home: Path) -> None:
    """A session as lines, and what lies beside it."""
    tokens = {"input": 100_000, "output": 5_000, "cached": 40_000, "thoughts": 3_000, "tool": 0, "total": 108_000}
    write_lines(home / "tmp/ab12/chats/session-2026-03-03T10-00-g1.jsonl", [
        {"sessionId": "g-1", "projectHash": "ab12", "startTime": "2026-03-03T10:00:00Z", "kind": "main"},
        {"id": "m1", "timestamp": "2026-03-03T10:00:00Z", "type": "user", "content": [{"text": CANARY}]},
        {"id": "m2", "timestamp": "2026-03-03T10:00:05Z", "type": "gemini", "content": CANARY, "thoughts": [],
         "tokens": tokens, "model": "gemini-2.5-pro"},
    ])  # fmt: skip
    for name, text in {
        "settings.json": "{}", "oauth_creds.json": json.dumps({"access_token": CANARY}), "installation_id": "x",
        "tmp/ab12/logs.json": json.dumps([{"sessionId": "g-1", "type": "user", "message": CANARY}]),
        "tmp/ab12/checkpoint-a.json": json.dumps([{"role": "user", "parts": [{"text": CANARY}]}]),
    }.items():
        (home / name).write_text(text, encoding="utf-8")


Plant = Callable[[Path], None]
PLANTS: dict[str, Plant] = {".claude": plant_claude, ".codex": plant_codex, ".gemini": plant_gemini}


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a user who has no agent yet, on a machine in Berlin."""
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", *(agent.variable for agent in AGENTS if agent.variable)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "ida"))
    monkeypatch.setenv("TZ", "Europe/Berlin")
    (tmp_path / "ida").mkdir()
    return tmp_path / "ida"


@pytest.fixture
def home(user: Path) -> Path:
    """The folder of a user of Claude Code, Codex and Gemini CLI."""
    for name, plant in PLANTS.items():
        plant(user / name)
    return user


def _document(*words: str) -> dict[str, Any]:
    finished = callcost("agents", "--json", *words)
    assert finished.code == 0, finished.stderr
    return dict(json.loads(finished.stdout))


def _costs(document: dict[str, Any], *names: str) -> dict[tuple[str, ...], Decimal]:
    return {tuple(row[name] for name in names): Decimal(row["total_cost"]) for row in document["groups"]}


def test_a_planted_home_is_right_to_the_cent(home: Path) -> None:
    found = _document()
    assert _costs(found, "day", "model", "billing") == {
        ("2026-03-02", SONNET, "unknown"): COSTS[SONNET],  # at half past midnight in Berlin
        ("2026-03-02", HAIKU, "unknown"): COSTS[HAIKU],
        ("2026-03-02", "gpt-5", "plan"): COSTS["gpt-5"],
        ("2026-03-03", "gemini-2.5-pro", "unknown"): COSTS["gemini-2.5-pro"],
    }
    assert (Decimal(found["totals"]["total_cost"]), found["totals"]["calls"]) == (WHOLE, 4)
    assert (found["timezone"], found["records"]["rejects"], found["unpriced"]) == ("Europe/Berlin", 0, [])
    assert [place["agent"] for place in found["places"]] == ["Claude Code", "Codex", "Gemini CLI"]
    utc = _costs(_document("--timezone", "UTC"), "day", "model")
    assert utc["2026-03-01", SONNET] == COSTS[SONNET]
    since = _document("--since", "2026-03-03")
    assert (Decimal(since["totals"]["total_cost"]), since["records"]["filtered"]) == (COSTS["gemini-2.5-pro"], 3)


def test_it_is_grouped_by_what_an_agent_knows(home: Path) -> None:
    by = "agent,project,session,branch,host"
    claude = COSTS[SONNET] + COSTS[HAIKU]
    assert _costs(_document("--by", by, "--host", "lap"), *by.split(",")) == {
        ("claude_code", "/home/ida/tides", "s-1", "main", "lap"): claude,
        ("codex", "/home/ida/locks", "cx-1", "gates", "lap"): COSTS["gpt-5"],
        ("gemini_cli", None, "g-1", None, "lap"): COSTS["gemini-2.5-pro"],
    }
    assert _costs(_document("--by", "billing"), "billing") == {
        ("plan",): COSTS["gpt-5"], ("unknown",): claude + COSTS["gemini-2.5-pro"],
    }  # fmt: skip
    where = _document("--where", "agent=codex", "--by", "month")
    assert _costs(where, "month") == {("2026-03",): COSTS["gpt-5"]}


def test_the_table_says_what_is_api_equivalent(home: Path) -> None:
    finished = callcost("agents", "--plan", "claude-max=200", "--since", "2026-03-01", "--until", "2026-04-01")
    assert finished.code == 0
    assert finished.stdout.splitlines()[0].split()[:4] == ["day", "model", "billing", "calls"]
    assert len(finished.stdout.splitlines()) == 5
    for line in (
        "plan: 3 calls, $1.32 API-equivalent",
        "unknown: 1 call, $0.1600 at API prices: API-equivalent, if the account is a plan (--plan NAME=USD says so)",
        "claude-max: $200.00 a month, $200.00 for 2026-03-01 to 2026-03-31; its 2 calls: $0.9345 API-equivalent",
    ):
        assert line in finished.stderr.splitlines(), finished.stderr
    assert "skipped" not in finished.stderr
    quiet = callcost("agents", "--quiet", "--top", "1")
    assert (len(quiet.stdout.splitlines()), quiet.stderr) == (2, "")


def test_a_document_has_every_group_and_what_plans_were_paid(home: Path) -> None:
    found = _document("--plan", "claude-max=200", "--plan", "ChatGPT-plus=$20", "--top", "1", "--until", "2026-03-04")
    assert sum(row["calls"] for row in found["groups"]) == found["totals"]["calls"] == 4
    for rows in (found["groups"], found["billing"]):
        assert sum(Decimal(row["total_cost"]) for row in rows) == WHOLE
    days = {"since": "2026-03-02", "until": "2026-03-03"}  # from the first call to the end that was asked for
    assert found["plans"] == [
        days | {"plan": "claude-max", "monthly_cost": "200", "paid_cost": "12.903225806451612903", "calls": 2,
                "total_cost": "0.9345"},
        days | {"plan": "ChatGPT-plus", "monthly_cost": "20", "paid_cost": "1.29032258064516129", "calls": 1,
                "total_cost": "0.38125"},
    ]  # fmt: skip
    assert _costs(found, "model", "billing")[SONNET, "plan"] == COSTS[SONNET]


def test_a_plan_is_read_as_it_is_meant() -> None:
    assert read_plan("codex=20").dialects == {"codex"}
    assert paid_for(Decimal(31), date(2026, 1, 31), date(2026, 3, 1)) == Decimal(33)
    for text, message in {
        "claude-max": "is not NAME=USD", "claude-max=": "is not NAME=USD", "claude-max=-1": "is not NAME=USD",
        "claude-max=nan": "is not NAME=USD", "=20": "is not NAME=USD", "claud=20": "did you mean 'claude'",
        "landline=20": "no agent has one called 'landline'",
    }.items():  # fmt: skip
        with pytest.raises(ConfigError, match=message):
            read_plan(text)
    refused = callcost("agents", "--plan", "claude-max=200", "--plan", "claude-pro=20")
    assert refused.code in {1, 2}  # whether or not there are logs here, nothing is reported of two plans of one agent


def test_an_empty_home_says_where_it_looked(user: Path) -> None:
    (user / ".claude/projects/-home").mkdir(parents=True)
    (user / ".claude/settings.json").write_text("{}")
    for words in ((), ("--json",)):
        finished = callcost("agents", *words)
        assert (finished.code, finished.stdout) == (1, "")
        assert "no logs of coding agents here" in finished.stderr
        for agent in AGENTS:
            assert f"  {agent.name}: {user}/" in finished.stderr
        assert f"{user}/.claude, {user}/.config/claude" in finished.stderr


def test_a_home_whose_logs_hold_no_call_says_what_was_read(user: Path) -> None:
    write_lines(user / ".claude/projects/p/s.jsonl", [_asked("2026-03-02T09:00:00Z")])
    finished = callcost("agents")
    assert finished.code == 1
    assert "no call at all" in finished.stderr
    assert f"  Claude Code: {user}/.claude/projects" in finished.stderr.splitlines()


def test_the_environment_says_where_homes_are(user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_claude(user / ".claude")  # of the time before
    plant_claude(tmp_path / "one")
    write_lines(tmp_path / "two/projects/p/s-9.jsonl", [_answer("msg_9", "2026-03-05T09:00:00Z", HAIKU)])
    plant_codex(tmp_path / "cx", plan=None)
    plant_gemini(tmp_path / "g/.gemini")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", f"{tmp_path / 'one'}, {tmp_path / 'two'}")
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "cx"))
    monkeypatch.setenv("GEMINI_CLI_HOME", str(tmp_path / "g"))
    found = _document("--by", "model")
    places = ("one/projects", "two/projects", "cx/sessions", "g/.gemini/tmp/ab12/chats")
    assert [place["path"] for place in found["places"]] == [str(tmp_path / place) for place in places]
    assert _costs(found, "model")[(HAIKU,)] == 2 * COSTS[HAIKU]
    assert found["records"]["rejects"] == 0
    assert {row["billing"] for row in found["groups"]} == {"unknown"}  # no plan is named


def test_links_to_a_home_add_nothing(user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_claude(tmp_path / "dotfiles/claude")
    (user / ".claude").symlink_to(tmp_path / "dotfiles/claude")
    (tmp_path / "dotfiles/claude/projects/loop").symlink_to(tmp_path / "dotfiles/claude/projects")
    whole = _document("--by", "model")
    assert Decimal(whole["totals"]["total_cost"]) == COSTS[SONNET] + COSTS[HAIKU]
    assert whole["records"]["rejects"] == 0
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", f"{user / '.claude'},{tmp_path / 'dotfiles/claude'}")
    assert _document("--by", "model")["totals"] == whole["totals"]


def test_a_store_that_somebody_writes_to_is_read_with_its_log(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(user / "data"))
    store = user / "data/opencode/opencode.db"
    store.parent.mkdir(parents=True)
    message = {
        "role": "assistant", "modelID": SONNET, "providerID": "anthropic", "cost": 0,
        "time": {"created": 1772442000000, "completed": 1772442001000},
        "tokens": {"input": 10_000, "output": 20_000, "reasoning": 0, "cache": {"read": 90_000, "write": 50_000}},
    }  # fmt: skip
    with closing(sqlite3.connect(store)) as writer:
        writer.execute("PRAGMA journal_mode = wal")
        writer.execute("CREATE TABLE session (id TEXT, directory TEXT)")
        writer.execute("CREATE TABLE message (id TEXT, session_id TEXT, time_created INTEGER, data TEXT)")
        writer.execute("INSERT INTO session VALUES ('ses', '/home/ida/tides')")
        writer.execute("INSERT INTO message VALUES ('msg', 'ses', 1, ?)", [json.dumps(message)])
        writer.commit()
        assert store.with_name("opencode.db-wal").stat().st_size
        found = _document("--by", "agent,project")
    assert _costs(found, "agent", "project") == {("opencode", "/home/ida/tides"): Decimal("0.5445")}


def test_whole_homes_are_logs_to_any_command(home: Path, out: Path) -> None:
    folders = [home / name for name in PLANTS]
    finished = report(folders, out, "--by", "model")
    assert (finished.records["rejects"], finished.total("total_cost")) == (0, WHOLE)
    line = next(line for line in finished.stderr.splitlines() if "skipped" in line)
    for name, agent in {".claude": "Claude Code", ".codex": "Codex", ".gemini": "Gemini CLI"}.items():
        assert line.count(f"{name} (settings and caches of {agent})") == 1
    seen = callcost("inspect", *folders, "--format", "json")
    assert json.loads(seen.stdout)["rejects"] == {}
    refused = callcost("report", home / ".claude/todos")
    assert (refused.code, "settings and caches of Claude Code" in refused.stderr) == (1, True)
    named = callcost("inspect", home / ".claude/history.jsonl", "--format", "json")
    assert json.loads(named.stdout)["rejects"] == {}


def test_machines_keep_their_name(home: Path, tmp_path: Path) -> None:
    span = {
        "resource": {"attributes": {"host.name": "server"}}, "traceId": "1" * 32, "spanId": "2" * 16,
        "startTimeUnixNano": 1772442000000000000, "name": "chat",
        "attributes": {"gen_ai.request.model": "o3", "gen_ai.usage.input_tokens": 8, "gen_ai.usage.output_tokens": 1},
    }  # fmt: skip
    log = write_lines(tmp_path / "spans.jsonl", [span])
    first = report([home / ".codex", log], tmp_path / "one", "--by", "host", "--host", "lap", "--calls")
    assert {row["host"]: row["calls"] for row in first.spend} == {"lap": "1", "server": "1"}
    again = callcost("report", tmp_path / "one", "--by", "host,agent,billing", "--out", "-")
    rows = sorted(line.split(",")[:4] for line in again.stdout.splitlines()[1:])
    assert rows == [["lap", "codex", "plan", "1"], ["server", "", "", "1"]]
    refused = callcost("report", tmp_path / "one", "--host", "other")
    assert (refused.code, "are read already" in refused.stderr) == (2, True)


def test_no_text_of_a_message_shows(home: Path) -> None:
    for words in (("--by", "session,project"), ("--json",), ("--json", "--by", "source_file"), ("--where", "agent=x")):
        finished: Finished = callcost("agents", *words)
        assert CANARY not in finished.stdout + finished.stderr
        assert finished.stdout + finished.stderr


@pytest.mark.parametrize(
    ("stated", "zone"),
    [("Asia/Tokyo", "Asia/Tokyo"), (":Europe/Paris", "Europe/Paris"), ("", "UTC"), ("CET-1CEST", None),
     ("/usr/share/zoneinfo/Asia/Kolkata", "Asia/Kolkata")],
)  # fmt: skip
def test_the_time_zone_is_the_machines(stated: str, zone: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", stated)
    assert local_zone() == zone


def test_the_systems_file_names_the_time_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)
    (tmp_path / "zoneinfo/Europe").mkdir(parents=True)
    (tmp_path / "zoneinfo/Europe/Lisbon").touch()
    link, text = tmp_path / "localtime", tmp_path / "timezone"
    monkeypatch.setattr("callcost.jobs.analysis.agents._ZONE_FILES", (link, text))
    assert local_zone() is None
    text.write_text("Asia/Seoul\n")
    assert local_zone() == "Asia/Seoul"
    link.symlink_to(tmp_path / "zoneinfo/Europe/Lisbon")
    assert local_zone() == "Europe/Lisbon"
