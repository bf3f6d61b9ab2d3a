"""A database is read as it stands, with what its log holds, and nothing is written beside it."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import zstandard

from callcost.logs.io.inputs import find_logs, read_raw
from callcost.logs.record_reader import Outcome
from callcost.runners.entries import stamp_of
from callcost.stages.read.splits import survey
from callcost.tables import Call, Reject
from tests.logs.outcomes import calls_of, read_file, reasons_of

OPENCODE = """
CREATE TABLE session (id TEXT, directory TEXT);
CREATE TABLE message (id TEXT, session_id TEXT, time_created INTEGER, data TEXT);
CREATE TABLE part (id TEXT, data TEXT);
INSERT INTO session VALUES ('ses_1', '/w'), ('ses_2', '/w');
INSERT INTO part VALUES ('p', '{"type": "step-finish", "tokens": {"input": 1}}');
"""


@contextmanager
def _database(path: Path, script: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
        yield connection
        connection.commit()


def _message(created: int, **more: object) -> str:
    tokens = {"input": 10, "output": 20, "reasoning": 5, "cache": {"read": 100, "write": 50}}
    words = {"role": "assistant", "modelID": "claude-sonnet-4-5", "providerID": "anthropic", "tokens": tokens}
    return json.dumps(words | {"time": {"created": created}} | more, indent=1)


def _put(connection: sqlite3.Connection, *rows: tuple[str, str, str]) -> None:
    connection.executemany("INSERT INTO message VALUES (?, ?, 1, ?)", rows)
    connection.commit()


def test_the_messages_of_a_store_are_its_records(tmp_path: Path) -> None:
    path = tmp_path / "opencode.db"
    with _database(path, OPENCODE) as connection:
        user = json.dumps({"role": "user", "time": {"created": 1}})
        _put(connection, ("m1", "ses_1", _message(1)), ("m2", "ses_1", user), ("m3", "ses_2", "{broken"))
    outcomes = read_file(path)
    assert reasons_of(outcomes) == ["call", "context", "not_an_object"]
    (call,) = calls_of(outcomes)
    assert (call.own_id, call.session, call.project, call.source_row) == ("m1", "ses_1", "/w", 1)
    assert call.usage is not None
    assert (call.usage.prompt_tokens, call.usage.completion_tokens) == (160, 25)


def test_copies_of_a_fork_share_what_names_them(tmp_path: Path) -> None:
    path = tmp_path / "opencode.db"
    with _database(path, OPENCODE) as connection:
        _put(connection, ("m1", "ses_1", _message(1)), ("m9", "ses_2", _message(1)), ("m2", "ses_1", _message(2)))
    names = [call.duplicate_id for call in calls_of(read_file(path))]
    assert names[0] == names[2] != names[1]


def test_messages_of_the_second_version_are_read_where_the_first_has_none(tmp_path: Path) -> None:
    path = tmp_path / "opencode.db"
    script = "CREATE TABLE session_message (id TEXT, session_id TEXT, type TEXT, data TEXT);"
    with _database(path, OPENCODE + script) as connection:
        _put(connection, ("m1", "ses_1", _message(1)))
        later = json.loads(_message(3)) | {"model": {"id": "gpt-5.5", "providerID": "openai"}}
        del later["role"], later["modelID"], later["providerID"]
        rows = [("m1", "ses_1", "assistant", _message(1)), ("m2", "ses_1", "assistant", json.dumps(later))]
        connection.executemany("INSERT INTO session_message VALUES (?, ?, ?, ?)", rows)
    assert [(call.own_id, call.model) for call in calls_of(read_file(path))] == [
        ("m1", "claude-sonnet-4-5"), ("m2", "gpt-5.5"),
    ]  # fmt: skip


@pytest.mark.parametrize("is_open", [True, False])
def test_what_the_log_of_a_database_holds_is_read_and_digested(tmp_path: Path, is_open: bool) -> None:
    path = tmp_path / "live" / "opencode.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.executescript(OPENCODE)
        _put(connection, ("m1", "ses_1", _message(1)))
        if not is_open:  # as a crash leaves it
            for name in ("opencode.db", "opencode.db-wal"):
                (tmp_path / name).write_bytes((path.parent / name).read_bytes())
            path = tmp_path / "opencode.db"
        before, names = survey(str(path)).sha256, {each.name for each in path.parent.iterdir()}
        stamp = stamp_of(str(path))
        assert len(calls_of(read_file(path))) == 1
        assert {each.name for each in path.parent.iterdir()} == names
        if is_open:
            _put(connection, ("m2", "ses_1", _message(2)))
            assert len(calls_of(read_file(path))) == 2
            assert survey(str(path)).sha256 != before
            assert stamp_of(str(path)) != stamp
        found = find_logs([str(path.parent)]).inputs
    assert [source.name.rpartition("/")[2] for source in found if "opencode" in source.name] == (
        ["opencode.db"] if is_open else ["opencode.db", "opencode.db"]
    )


def _entry(name: str) -> str:
    usage = {"input": 5, "output": 6, "cacheRead": 0, "cacheWrite": 0}
    message = {"role": "assistant", "provider": "openai", "model": "gpt-5.5", "usage": usage}
    entry = {"type": "message", "id": name, "timestamp": f"2026-09-02T10:00:00.{name}Z", "message": message}
    return json.dumps(entry)


def _header(session: str, **more: object) -> str:
    return json.dumps({"type": "session", "id": session, "timestamp": "2026-09-02T09:00:00Z"} | more)


OPENCLAW = "CREATE TABLE transcript_events (session_id TEXT, seq INTEGER, event_json TEXT, created_at INTEGER{});"


def test_entries_of_an_agents_database_are_those_of_its_sessions(tmp_path: Path) -> None:
    path = tmp_path / "openclaw-agent.sqlite"
    with _database(path, OPENCLAW.format("")) as connection:
        rows = [("s-1", 1, _entry("001"), 2), ("s-1", 0, _header("s-1", cwd="/w"), 1), ("s-2", 4, _entry("002"), 3)]
        connection.executemany("INSERT INTO transcript_events VALUES (?, ?, ?, ?)", rows)
    calls = calls_of(read_file(path))
    assert [(call.session, call.project) for call in calls] == [("s-1", "/w"), ("s-2", None)]
    assert reasons_of(read_file(path)).count("context") == 3  # each session is named once more


def test_packed_entries_and_whole_sessions_that_were_put_away_are_read(tmp_path: Path) -> None:
    path = tmp_path / "openclaw-agent.sqlite"
    script = OPENCLAW.format(", event_zstd BLOB") + """
CREATE TABLE session_transcript_archives (session_id TEXT, archive_blob BLOB);
CREATE TABLE session_transcript_cold_archives (session_id TEXT, archive_blob BLOB);
INSERT INTO session_transcript_cold_archives VALUES ('elsewhere', NULL);"""
    away = "\n".join([_header("s-3", cwd="/v"), _entry("003"), _entry("004")])
    cold = "\n".join([_header("s-4"), _entry("005")])
    with _database(path, script) as connection:
        rows = [("s-1", 1, None, 2, zstandard.compress(_entry("001").encode())), ("s-1", 2, _entry("002"), 3, None)]
        connection.executemany("INSERT INTO transcript_events VALUES (?, ?, ?, ?, ?)", rows)
        connection.execute("INSERT INTO session_transcript_archives VALUES ('s-3', ?)", (away.encode(),))
        packed = zstandard.compress(cold.encode())
        connection.execute("INSERT INTO session_transcript_cold_archives VALUES ('s-4', ?)", (packed,))
    calls = [(call.own_id, call.session, call.project) for call in calls_of(read_file(path))]
    assert calls == [
        ("001", "s-1", None), ("002", "s-1", None), ("003", "s-3", "/v"), ("004", "s-3", "/v"), ("005", "s-4", None),
    ]  # fmt: skip


def test_a_sum_does_not_count_where_the_ledger_has_its_calls(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    script = """
CREATE TABLE sessions (id, created_at, working_dir, provider_name, model_config_json, accumulated_input_tokens,
 accumulated_output_tokens, accumulated_cache_read_tokens);
CREATE TABLE usage_ledger (id, session_id, created_timestamp, model, input_tokens, output_tokens, total_tokens);
INSERT INTO sessions VALUES ('parent', 1787047200, '/w', 'openai', '{"model_name": "gpt-5.5"}', 35, 7, 0),
 ('child', 1787047201, '/w', 'openai', '{"model_name": "gpt-5.5"}', 20, 4, 0),
 ('older', 1787000000, '/w', 'openai', '{"model_name": "gpt-5.5"}', 8, 2, 6);
INSERT INTO usage_ledger VALUES (1, 'parent', 1787047202, 'gpt-5.5', 15, 3, 18),
 (2, 'child', 1787047203, 'gpt-5.5', 20, 4, 24);"""
    with _database(path, script):
        pass
    calls = calls_of(read_file(path))
    counts = [(call.session, call.usage and call.usage.prompt_tokens, call.flags) for call in calls]
    assert sorted(counts) == [("child", 20, []), ("older", 8, ["session_sum"]), ("parent", 15, [])]
    (older,) = (call.usage for call in calls if call.session == "older")
    assert older is not None
    assert older.cache_read_input_tokens == 6


def test_a_blob_is_text_packed_text_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "own.db"
    with _database(path, "CREATE TABLE calls (model, usage, junk, ratio)") as connection:
        usage = b'{"prompt_tokens": 5,\n "completion_tokens": 6}'
        packed = ("gpt-4o", zstandard.compress(usage), b"\x28\xb5\x2f\xfdno", 0.5)
        rows = [("gpt-4o", usage, b"\xff\x00", 9e999), packed]
        connection.executemany("INSERT INTO calls VALUES (?, ?, ?, ?)", rows)
    calls = calls_of(read_file(path))
    assert [call.usage and call.usage.total_tokens for call in calls] == [11, 11]


def test_rows_of_all_tables_and_views_of_an_unknown_database_are_records(tmp_path: Path) -> None:
    path = tmp_path / "own.db"
    script = """
    CREATE TABLE things (thing TEXT); INSERT INTO things VALUES ('x');
    CREATE TABLE calls (model TEXT, tokens TEXT); INSERT INTO calls VALUES ('gpt-4o', '5');
    CREATE VIEW seen AS SELECT model, '{"prompt_tokens": 5, "completion_tokens": 1}' AS usage FROM calls;
    """
    with _database(path, script):
        pass
    assert sorted(reasons_of(read_file(path))) == ["call", "unknown_dialect", "unknown_dialect"]


def test_a_damaged_database_gives_what_can_be_read_and_one_reject(tmp_path: Path) -> None:
    path = tmp_path / "opencode.db"
    with _database(path, OPENCODE) as connection:
        _put(connection, *((f"m{number:04}", "ses_1", _message(number)) for number in range(400)))
    data = bytearray(path.read_bytes())
    for cut in (100, 5_000, len(data) // 2):
        path.write_bytes(data[:cut])
        outcomes = read_file(path)
        assert _rejects(outcomes) == ["truncated_file"]
    data[4096 * 9 : 4096 * 12] = b"\xaa" * 4096 * 3
    path.write_bytes(data)
    assert _rejects(read_file(path)) == ["truncated_file"]
    path.write_bytes(b"SQLite format 3\x00" + b"no database at all " * 300)
    assert _rejects(read_file(path)) == ["truncated_file"]


def _rejects(outcomes: list[Outcome]) -> list[str]:
    assert all(isinstance(one, Call | Reject) for one in outcomes)
    return [one.reason for one in outcomes if isinstance(one, Reject)]


def test_a_packed_database_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "own.db"
    with _database(path, "CREATE TABLE calls (model TEXT)"):
        pass
    packed = tmp_path / "own.db.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    (source,) = find_logs([str(packed)]).inputs
    (reject,) = read_raw(source)
    assert isinstance(reject, Reject)
    assert (reject.reason, reject.detail) == ("unreadable_file", "an SQLite database that is packed: unpack it first")
