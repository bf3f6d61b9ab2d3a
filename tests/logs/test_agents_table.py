"""Agents whose logs two other tools or more read: each file of theirs is read, or refused with what to give instead.

The rows are those of a comparison of ccusage, codeburn, tokscale and agentsview. A file is a case's, a transcript, or
the database that an agent keeps.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from callcost.tables import Reject
from tests.logs.outcomes import calls_of, read_file

CASES = Path(__file__).parents[1] / "cases"


class Row(NamedTuple):
    """What is known of an agent's file.

    Attributes:
        agent: as its makers call it.
        dialect: that reads it; "": it is refused.
        content: a case, SQL that makes the database, or lines.
        name: of the file, where it is no case's.
    """

    agent: str
    dialect: str
    content: str
    name: str = "log.jsonl"


_MESSAGES = """CREATE TABLE session (id, directory, parent_id);
CREATE TABLE message (id, session_id, time_created, data); INSERT INTO message
VALUES ('m', 's', 1, '{"role": "assistant", "modelID": "gpt-4o", "providerID": "openai",
 "time": {"created": 1772359200000, "completed": 1772359201000}, "cost": 0, "tokens":
 {"input": 10, "output": 5, "reasoning": 0, "cache": {"read": 0, "write": 0}}}')"""
_SESSIONS = """CREATE TABLE sessions (id, model, input_tokens, output_tokens, cache_read_tokens, started_at, cwd);
INSERT INTO sessions VALUES ('s', 'gpt-4o', 10, 5, 0, 1772359200, '/w')"""
ROWS = (
    Row("Claude Code", "claude_code", "claude_code/a_call_is_written_as_several_rows"),
    Row("Codex", "codex", "codex/records_of_responses_are_the_calls"),
    Row("Gemini CLI: JSON", "gemini_cli", "gemini_cli/a_session_as_one_object"),
    Row("Gemini CLI: JSONL", "gemini_cli", "gemini_cli/lines_of_a_session"),
    Row("OpenCode", "opencode", _MESSAGES, "opencode.db"),
    Row("OpenCode: older files", "opencode", "opencode/messages_of_files_and_databases"),
    Row("Copilot CLI: events", "copilot_cli", "copilot_cli/sums_that_go_on"),
    Row("Copilot CLI: store", "copilot_store", """CREATE TABLE sessions (id, cwd, branch);
CREATE TABLE assistant_usage_events (id, session_id, model, input_tokens, output_tokens, created_at);
INSERT INTO assistant_usage_events VALUES (1, 's', 'gpt-5', 10, 5, '2026-03-01T10:00:00Z')""", "session-store.db"),
    Row("Qwen Code", "qwen_code", "qwen_code/an_answer_and_its_telemetry"),
    Row("Kimi Code", "kimi", "kimi/a_wire_of_1_4"),
    Row("Kimi CLI", "kimi", "kimi/a_wire_of_the_older_program"),
    Row("pi, OMP, OpenClaw", "pi", "pi/a_session"),
    Row("OpenClaw: store", "pi", """CREATE TABLE transcript_events (session_id, seq, event_json, created_at);
INSERT INTO transcript_events VALUES ('s', 0, '{"type": "message", "id": "a", "timestamp": "2026-09-02T10:00:00Z",
 "message": {"role": "assistant", "model": "gpt-4o", "usage": {"input": 10, "output": 5}}}', 1)""", "agent.sqlite"),
    Row("Hermes Agent", "hermes", _SESSIONS, "state.db"),
    Row("Hermes Agent: JSON", "", "refused/texts_of_a_hermes_session"),
    Row("Goose", "goose", """CREATE TABLE sessions (id, working_dir, created_at, provider_name, model_config_json,
 accumulated_input_tokens, accumulated_output_tokens);
INSERT INTO sessions VALUES ('g', '/w', '2026-03-01 10:00:00', 'openai', '{"model_name": "gpt-4o"}', 10, 5)""", "g.db"),
    Row("Goose: ledger", "goose_ledger", """CREATE TABLE sessions (id, working_dir, provider_name, model_config_json,
 accumulated_input_tokens, accumulated_output_tokens);
CREATE TABLE usage_ledger (id, session_id, created_timestamp, model, input_tokens, output_tokens, total_tokens);
INSERT INTO usage_ledger VALUES (1, 'g', 1787047200, 'gpt-4o', 10, 5, 15)""", "g.db"),
    Row("CodeBuddy Code", "codebuddy", "codebuddy/a_session"),
    Row("Codebuff", "codebuff", "codebuff/answers_with_usage_and_with_credits"),
    Row("Grok Build", "grok_build", "grok_build/turns_by_model_and_whole"),
    Row("Antigravity", "", "CREATE TABLE gen_metadata (id, data); INSERT INTO gen_metadata VALUES (1, x'0a')", "a.db"),
    Row("Antigravity: transcript", "", '{"step_index": 0, "source": "MODEL", "type": "PLANNER_RESPONSE",'
        ' "status": "DONE", "created_at": "2026-03-01T10:00:00Z"}'),
    Row("ZCode", "zcode", """CREATE TABLE session (id, directory);
CREATE TABLE model_usage (id, session_id, model_id, input_tokens, output_tokens, started_at);
INSERT INTO model_usage VALUES ('z', 's', 'glm-4.6', 10, 5, 1772359200000)""", "db.sqlite"),
    Row("Factory Droid", "droid", "droid/the_sum_of_a_session"),
    Row("Amp", "amp", "amp/a_call_in_its_message_and_in_the_ledger"),
    Row("Kilo CLI", "opencode", _MESSAGES, "kilo.db"),
    Row("Cursor: export", "cursor_csv", "cursor_csv/a_header_with_agents"),
    Row("Cursor: store", "cursor_store", """CREATE TABLE cursorDiskKV (key, value); INSERT INTO cursorDiskKV VALUES
('bubbleId:c:1', '{"tokenCount": {"inputTokens": 10, "outputTokens": 5}, "modelInfo": {"modelName": "gpt-4o"}}')""",
        "state.vscdb"),
    Row("Cursor: printed", "", "refused/printed_by_agents"),
    Row("Cline, Roo Code, Kilo Code", "cline", "cline/requests_of_both_protocols"),
    Row("Cline CLI", "cline_cli", "cline_cli/messages_and_the_sum_of_their_session"),
    Row("Zed", "zed", """CREATE TABLE threads (id, updated_at, data_type, data); INSERT INTO threads VALUES ('t',
 '2026-03-01T10:00:00Z', 'json', '{"model": {"provider": "openai", "model": "gpt-4o"}, "request_token_usage": {"u":
 {"input_tokens": 10, "output_tokens": 5}}}')""", "threads.db"),
    Row("Kiro, Warp, DeepSeek", "", "refused/agents_that_count_credits_or_sums"),
    Row("VS Code Copilot", "vscode_copilot", "vscode_copilot/requests_of_a_chat"),
    Row("VS Code Copilot: journal", "vscode_copilot", "vscode_copilot/a_journal"),
    Row("Mistral Vibe", "mistral_vibe", "mistral_vibe/the_sum_of_a_session"),
    Row("Devin", "devin", """CREATE TABLE sessions (id, model, working_directory, last_activity_at);
CREATE TABLE message_nodes (session_id, node_id, chat_message); INSERT INTO message_nodes VALUES ('d', 1, '{"role":
 "assistant", "metadata": {"generation_model": "gpt-4o", "created_at": "2026-03-01T10:00:00Z", "metrics":
 {"input_tokens": 10, "output_tokens": 5}}}')""", "sessions.db"),
    Row("Forge", "forge", """CREATE TABLE conversations (conversation_id, workspace_id, context, created_at,
 updated_at); INSERT INTO conversations VALUES ('c', 'w', '{"messages": [{"message": {"text": {"role": "Assistant",
 "model": "gpt-4o"}}, "usage": {"prompt_tokens": {"actual": 10}, "completion_tokens": {"actual": 5}}}]}',
 '2026-03-01 10:00:00', '2026-03-01 10:00:02')""", ".forge.db"),
    Row("OpenClaude, as Claude Code", "claude_code", "claude_code/older_rows_state_their_cost_and_no_type"),
    Row("Mux", "mux", "mux/a_chat"),
    Row("Command Code", "command_code", "command_code/a_session"),
    Row("Trae", "trae", "trae/usage_of_two_sessions"),
)  # fmt: skip


def _file(row: Row, folder: Path) -> Path:
    if " " not in row.content:
        return next((CASES / row.content).glob("record.*"))
    path = folder / row.name
    if row.name.endswith(".jsonl"):
        path.write_text(row.content)
    else:
        with closing(sqlite3.connect(path)) as store:
            store.executescript(row.content)
    return path


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.agent)
def test_an_agents_file_is_read_or_refused_with_what_to_give(row: Row, tmp_path: Path) -> None:
    outcomes = read_file(_file(row, tmp_path))
    calls = [call for call in calls_of(outcomes) if call.usage is not None]
    rejects = [one for one in outcomes if isinstance(one, Reject)]
    assert {call.source_format for call in calls} == ({row.dialect} if row.dialect else set())
    assert calls or rejects
    assert not any(one.reason == "unknown_dialect" for one in rejects)
    if not row.dialect:
        assert all("give" in one.detail for one in rejects)
