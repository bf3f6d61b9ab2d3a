"""Tools of a log whose keys are sorted: the parameters come back in the order of those required."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.tokens.framing.tool_schemas import write_tools
from callcost.tokens.requests.key_order import as_sent
from callcost.tokens.requests.tools_and_format import read_tools

NAMES = st.lists(st.text("abcxyz", min_size=1, max_size=4), min_size=1, max_size=5, unique=True)


def _tool(names: list[str], required: list[str]) -> dict[str, Any]:
    inner = {"b": {"type": "string"}, "a": {"type": "string"}}
    properties = {name: {"type": "object", "properties": inner, "required": ["b", "a"]} for name in names}
    schema = {"type": "object", "properties": properties, "required": required}
    return {"type": "function", "function": {"name": "find", "description": "Finds.", "parameters": schema}}


def _kept(tool: dict[str, Any]) -> Any:
    """Return what a recorder that sorts all keys keeps of a tool."""
    return json.loads(json.dumps(tool, sort_keys=True))


@given(names=NAMES, data=st.data())
def test_a_tool_that_was_kept_with_sorted_keys_is_written_as_it_was_sent(names: list[str], data: st.DataObject) -> None:
    required = names[: data.draw(st.integers(0, len(names)))]
    sent = _tool([*required, *sorted(names[len(required) :])], required)
    assert write_tools(read_tools({"tools": [_kept(sent)]})) == write_tools(read_tools({"tools": [sent]}))
    assert json.dumps(as_sent(sent)) == json.dumps(sent)


@pytest.mark.parametrize("around", [
    {"type": "function", "function": {"name": "f", "description": "", "parameters": None}},
    {"function": {"name": "f", "description": "", "parameters": None}, "type": "function"},
])  # fmt: skip
def test_a_schema_whose_tool_is_not_sorted_was_sent_as_it_stands(around: dict[str, Any]) -> None:
    schema = _kept(_tool(["z", "a"], ["z", "a"]))["function"]["parameters"]
    tool = {**around, "function": around["function"] | {"parameters": schema}}
    assert json.dumps(as_sent(tool)) == json.dumps(tool)


@pytest.mark.parametrize("schema", [
    {"properties": {"a": 1, "b": 2}, "required": [["b"], 3, None, "c", "b", "b", "a"]},
    {"properties": ["b", "a"], "required": ["b"]}, {"properties": None, "required": {"a": 1}},
    {"properties": {"properties": {"required": ["b", "a"]}, "required": {"properties": 1}}, "required": 5},
])  # fmt: skip
def test_any_schema_keeps_all_that_it_holds(schema: dict[str, Any]) -> None:
    tool = {"function": {"name": "f", "parameters": schema}}
    assert as_sent(tool) == tool
    assert write_tools(read_tools({"tools": [tool]}))
