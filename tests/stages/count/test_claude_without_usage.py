"""Claude's text is counted with an old vocabulary and corrected for what that gets wrong, whichever reader reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from callcost.tokens.engines.encoders import load_encoder
from tests.command import report, write_lines

CODE = "for i in range(10):\n    total = total + 12 * i  # it's 'x' | 7\n" * 20
VOCABULARY = 500 * 1022  # thousandths: tokens of the old vocabulary, each a little more
CORRECTIONS = 40 * 1240 + 20 * 1350 + 20 * 550 + 80 * 260  # blanks before digits and quotes, indents, operators
TIMES = {"startTime": "2025-01-24 09:20:46.846", "endTime": "2025-01-24 09:20:47.846"}


def chat(number: int, model: str) -> dict[str, Any]:
    """Return a row of LiteLLM's SpendLogs that states no tokens."""
    message = {"role": "assistant", "content": CODE}
    return {
        "request_id": f"r-{number}", "call_type": "acompletion", "model": model, "custom_llm_provider": "anthropic",
        "spend": 0.0, "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, **TIMES,
        "messages": [{"role": "user", "content": CODE}],
        "response": {"choices": [{"index": 0, "finish_reason": "stop", "message": message}]},
    }  # fmt: skip


@pytest.mark.parametrize("rows", [2, 60], ids=["by records", "by columns"])  # columns are for more than 32 KB
def test_chats_of_claude_without_usage_are_corrected(tmp_path: Path, rows: int) -> None:
    assert load_encoder("claude2").count([CODE]) == [500]
    log = write_lines(tmp_path / "log.jsonl", [chat(number, "claude-3-opus-20240229") for number in range(rows)])

    done = report([log], tmp_path / "out", "--calls")

    assert [row["usage_source"] for row in done.calls] == ["counted"] * rows
    thousandths = VOCABULARY + CORRECTIONS
    assert {row["prompt_tokens"] for row in done.calls} == {round((thousandths + 4000 + 3000) / 1000)}
    assert {row["completion_tokens"] for row in done.calls} == {round((thousandths + 3000) / 1000)}
