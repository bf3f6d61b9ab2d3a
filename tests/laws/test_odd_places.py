"""Both readers give the same of records in which something odd stands at any place, and neither ends the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import examples
from tests.laws.chat_records import CHATS
from tests.laws.odd_places import odd_lines
from tests.laws.records import WRITERS, Draw, Record
from tests.laws.test_columns import few_samples
from tests.laws.test_litellm_columns import SPEND, STANDARD, assert_same, chat, ordinary, stated, written

__all__ = ["few_samples"]
pytestmark = pytest.mark.usefixtures("columns_for_all", "few_samples")


def spend(number: int, draw: Draw) -> Record:
    """Draw a row of LiteLLM's table, with usage or without."""
    return _of_litellm(SPEND, "request_id", number, draw)


def standard(number: int, draw: Draw) -> Record:
    """Draw a payload of LiteLLM's callbacks, with usage or without."""
    return _of_litellm(STANDARD, "id", number, draw)


def _of_litellm(fields: dict[str, Any], name: str, number: int, draw: Draw) -> Record:
    make = draw(st.sampled_from((ordinary, ordinary, chat)))
    record: Record = stated(make(fields, **{name: f"r-{number}"}))
    if make is ordinary and draw(st.booleans()):
        usage = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10, "prompt_tokens_details": {}}
        record["metadata"] = {"usage_object": usage}
    return record


@pytest.mark.parametrize("write", [*WRITERS, *CHATS, spend, standard], ids=lambda write: write.__name__)
@given(data=st.data())
@examples(8, 300)
def test_both_readers_say_the_same_whatever_stands_anywhere(
    write: Callable[[int, Draw], Record], data: st.DataObject
) -> None:
    with written(data.draw(odd_lines(write))) as path:
        assert_same(path)


def test_an_object_with_a_number_that_no_float_holds_ends_no_run() -> None:
    row = (
        b'{"trace_id": "%032d", "span_id": "%016d", "name": "chat", "start_time": "2026-03-01T00:00:00Z", '
        b'"attributes": {"gen_ai.operation.name": "chat", "gen_ai.response.model": "gpt-4o", '
        b'"gen_ai.usage.input_tokens": 9, "gen_ai.usage.output_tokens": 3}, "thoughts_token_count": {"total": 1e400}}'
    )
    with written([row % (number, number) for number in range(1, 20)]) as path:
        assert_same(path)
