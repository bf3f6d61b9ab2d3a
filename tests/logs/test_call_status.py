"""A failure of a call that was under way is told from a request that was refused."""

from __future__ import annotations

from typing import Any

import pytest

from callcost.logs.record_reader import RecordReader
from callcost.settings import ReadOptions
from callcost.tables import Call

PAIR = {"id": "1", "model": "gpt-4o", "request": {"messages": [{"role": "user", "content": "hi"}]}}


@pytest.mark.parametrize(
    ("stated", "status", "flags"),
    [
        ({"status": "success"}, "success", []),
        ({"status": "failure"}, "failure", []),
        ({"status": "failure", "status_code": 429}, "failure", []),
        ({"status": "cancelled", "status_code": 500}, "failure", []),
        ({"error": "rate limit"}, "failure", []),
        ({"status": "Cancelled"}, "failure", ["aborted"]),
        ({"status_code": "499"}, "failure", ["aborted"]),
        ({"status": "error", "status_code": 200}, "failure", ["aborted"]),
        ({"error": "the client disconnected"}, "failure", ["aborted"]),
        ({"error": {"type": "APIConnectionAborted", "message": "x"}}, "failure", ["aborted"]),
        ({"error": {"type": "invalid_request_error", "message": "was the upload aborted?"}}, "failure", []),
        ({"status": "cancelled", "usage": {"prompt_tokens": 3, "completion_tokens": 1}}, "failure", []),
    ],
)
def test_what_a_record_says_of_its_failure(stated: dict[str, Any], status: str, flags: list[str]) -> None:
    (call,) = RecordReader(ReadOptions()).read_value(PAIR | stated, 1)
    assert isinstance(call, Call)
    assert (call.status, call.flags) == (status, flags)
