"""OpenAI's layout: what each sign of a request adds, beside the texts it holds."""

from __future__ import annotations

from typing import Any

import pytest

from callcost.tokens.engines.encoders import load_encoder
from callcost.tokens.frame import Frame, day
from callcost.tokens.framing.messages import frame_prompt
from callcost.tokens.framing.openai_layouts import ERAS, LAYOUTS, Layout, layout_of, serving_api
from callcost.tokens.framing.tool_schemas import write_tools
from callcost.tokens.model_families import choose
from callcost.tokens.requests.types import Tool
from tests.tokens.counted import count_prompt, texts_of, write_user

ASK = write_user("Weather in Oslo?")
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
FORM = {"type": "json_schema", "json_schema": {"name": "sky", "schema": {"type": "object", "properties": {}}}}


def tokens(text: str, vocabulary: str = "o200k_base") -> int:
    return load_encoder(vocabulary).count([text])[0]


def frame(model: str, request: Any, endpoint: str = "chat", **more: Any) -> Frame:
    found = frame_prompt(choose(model, endpoint=endpoint), endpoint, request, **more)
    assert found is not None
    return found


def call(arguments: str, name: str = "look", **more: Any) -> dict[str, Any]:
    return {"id": "a", "type": "function", "function": {"name": name, "arguments": arguments}, **more}


@pytest.mark.parametrize(("framing", "api"), LAYOUTS)
def test_every_row_is_found(framing: str, api: str) -> None:
    assert layout_of(framing, api, None) == LAYOUTS[framing, api]


def test_a_family_without_a_row_of_an_api_has_its_chats() -> None:
    assert layout_of("gpt-3.5", "responses", None) == LAYOUTS["gpt-3.5", "chat"]
    assert layout_of("unknown", "responses", None) == LAYOUTS["gpt-4", "responses"]


@pytest.mark.parametrize("era", ERAS)
def test_a_rule_of_an_era_holds_from_its_first_day_to_the_day_before_its_last(era: Any) -> None:
    today = layout_of(era.framing, era.api, None)
    changed = today._replace(**era.changes)

    assert layout_of(era.framing, era.api, era.since, era.framing) == changed
    assert layout_of(era.framing, era.api, era.until - 1, era.framing) == changed
    assert layout_of(era.framing, era.api, era.until, era.framing) == today
    assert set(era.changes) <= set(Layout._fields)


def test_a_message_costs_three_tokens_beside_its_role_and_text() -> None:
    one, two = (count_prompt("gpt-4o", {"messages": ASK * times}) for times in (1, 2))

    assert one == 3 + 3 + 1 + tokens("Weather in Oslo?")
    assert two == one + 3 + 1 + tokens("Weather in Oslo?")


def test_a_model_that_searches_first_is_billed_for_the_texts_alone() -> None:
    body = {"messages": [{"role": "system", "content": "Be brief."}, *ASK]}
    found = frame("gpt-4o-mini-search-preview-2025-03-11", body)

    assert count_prompt("gpt-4o-search-preview", body) == tokens("Be brief.") + tokens("Weather in Oslo?")
    assert (texts_of(found), found.constant) == (["Be brief.", "Weather in Oslo?"], 0)


def test_a_name_stands_beside_the_role() -> None:
    assert texts_of(frame("gpt-4o", {"messages": [{**ASK[0], "name": "ann"}]}))[0] == "user:ann"


def test_tools_join_the_system_text_in_chat_and_stand_alone_in_responses() -> None:
    messages = [{"role": "system", "content": "Be brief."}, *ASK]

    (joined,) = [text for text in texts_of(frame("gpt-4o", {"messages": messages, "tools": [TOOL]})) if "Tools" in text]
    (alone,) = [text for text in texts_of(frame("gpt-4o", {"messages": ASK, "tools": [TOOL]})) if "Tools" in text]
    apart = texts_of(frame("gpt-4.1", {"input": messages, "tools": [TOOL]}, "responses"))

    assert joined.startswith("Be brief.\n\n# Tools\n\n## functions")
    assert alone.startswith("# Tools\n\n## functions")
    assert apart[0] == alone
    assert "Be brief." in apart


def test_tools_and_form_are_one_block_with_tools_first() -> None:
    (block,) = [
        text
        for text in texts_of(frame("gpt-4o", {"messages": ASK, "tools": [TOOL], "response_format": FORM}))
        if "\n" in text
    ]

    assert "} // namespace functions\n\n# Response Formats\n\n## sky\n\n{" in block


def test_gpt_5_loses_the_blanks_at_the_end_of_a_joined_system_text() -> None:
    messages = [{"role": "system", "content": "Be brief.\n \n"}, *ASK]

    assert any(text.startswith("Be brief.\n\n# Tools") for text in texts_of(
        frame("gpt-5", {"messages": messages, "tools": [TOOL]})))  # fmt: skip
    assert "Be brief.\n \n" in texts_of(frame("gpt-5", {"messages": messages}))


@pytest.mark.parametrize(
    ("choice", "more"),
    [("auto", 0), ("required", 0), ("none", 1), ({"type": "function", "function": {"name": "look"}}, 8)],
)
def test_the_choice_among_tools_has_its_price(choice: Any, more: int) -> None:
    request = {"messages": ASK, "tools": [TOOL]}

    assert count_prompt("gpt-4o", {**request, "tool_choice": choice}) == count_prompt("gpt-4o", request) + more  # type: ignore[operator]


def test_a_call_is_written_anew_without_blanks_in_chat_and_kept_in_responses() -> None:
    spread = '{ "city" : "Oslo" }'
    chat = [*ASK, {"role": "assistant", "tool_calls": [call(spread)]}]
    items = [*ASK, {"type": "function_call", "call_id": "a", "name": "look", "arguments": spread}]

    assert '{"city":"Oslo"}' in texts_of(frame("gpt-4o", {"messages": chat}))
    assert spread in texts_of(frame("gpt-4o", {"input": items}, "responses"))


def test_arguments_that_are_no_json_are_kept() -> None:
    chat = [*ASK, {"role": "assistant", "tool_calls": [call("{oops")]}]

    assert "{oops" in texts_of(frame("gpt-4o", {"messages": chat}))


def test_several_calls_and_their_results_are_one_of_each() -> None:
    chat = [
        *ASK,
        {"role": "assistant", "tool_calls": [call('{"n": 1}'), call('{"n": 2}', id="b")]},
        {"role": "tool", "tool_call_id": "a", "content": '{"é": 4}'},
        {"role": "tool", "tool_call_id": "b", "content": "warm"},
        *ASK,
    ]

    texts = texts_of(frame("gpt-4o", {"messages": chat}))

    assert (
        '{"tool_uses":[{"recipient_name":"functions.look","parameters":{"n":1}},'
        '{"recipient_name":"functions.look","parameters":{"n":2}}]}'
    ) in texts
    assert '[{"\\u00e9": 4}, "warm"]' in texts
    assert texts.index('[{"\\u00e9": 4}, "warm"]') < len(texts) - 1


def test_a_form_stands_in_the_header_of_every_answer() -> None:
    chat = [*ASK, {"role": "assistant", "content": "Fine."}, *ASK]

    assert texts_of(frame("gpt-4o", {"messages": chat, "response_format": FORM})).count("sky") == 2
    assert texts_of(frame("gpt-4o", {"messages": chat, "response_format": FORM, "tools": [TOOL]})).count("sky") == 0
    assert texts_of(frame("gpt-4.1", {"input": chat, "text": {"format": FORM}}, "responses")).count("sky") == 0


def test_reasoning_sent_back_counts_after_the_last_question_only() -> None:
    encrypted = {"type": "reasoning", "encrypted_content": "x" * 4000}
    after = count_prompt("gpt-5", {"input": [*ASK, encrypted]}, "responses")
    before = count_prompt("gpt-5", {"input": [encrypted, *ASK]}, "responses")

    assert after is not None
    assert before is not None
    assert after - before > 400
    assert before - (count_prompt("gpt-5", {"input": ASK}, "responses") or 0) < 10


def test_several_calls_in_an_answer_divide_the_prompt_of_a_winter() -> None:
    winter = ERAS[-1].since
    item = {"type": "function_call", "call_id": "a", "name": "look", "arguments": "{}"}
    request = {"input": ASK}
    whole = count_prompt("gpt-4.1", request, "responses", at=winter)

    shared = count_prompt("gpt-4.1", request, "responses", response={"output": [item, item]}, at=winter)

    assert whole is not None
    assert shared == whole // 2
    assert count_prompt("gpt-4.1", request, "responses", response={"output": [item, item]}) == whole


LOOK = {"type": "function", "name": "look", "description": "Look out.", "parameters": {"type": "object"}}


def asked(tools: list[dict[str, Any]], **more: Any) -> int:
    return count_prompt("gpt-4o", {"input": "Hi.", "tools": tools, **more}, "responses") or 0


def test_the_responses_api_reads_nothing_of_a_nested_function() -> None:
    nested = {"type": "function", "name": "look", "function": {"name": "look", "description": "Look out, far out."}}
    assert asked([nested]) == asked([{"type": "function", "name": "look"}])


def test_a_call_that_must_be_of_the_only_tool_is_a_named_one_in_the_responses_api() -> None:
    named = asked([LOOK], tool_choice={"type": "function", "name": "look"})
    assert asked([LOOK], tool_choice="required") == named > asked([LOOK])
    two = [LOOK, LOOK | {"name": "listen"}]
    assert asked(two, tool_choice="required") == asked(two)
    chat = {"messages": ASK, "tools": [TOOL]}
    assert count_prompt("gpt-4o", chat | {"tool_choice": "required"}) == count_prompt("gpt-4o", chat)


def test_openrouter_bills_gpt_5_as_the_responses_api_does_and_gpt_4_as_chats() -> None:
    request = {"messages": ASK, "tools": [TOOL]}

    def at(model: str, provider: str) -> int:
        found = frame_prompt(choose(model, provider, "chat"), "chat", request)
        assert found is not None
        return found.constant // 1000

    assert at("gpt-4o", "openrouter") == at("gpt-4o", "openai")
    five = LAYOUTS["gpt-5", "responses"]
    assert at("openai/gpt-5", "openrouter") == five.start + five.message + five.tools + five.bare_tool
    assert at("openai/gpt-5", "openrouter") < at("gpt-5", "openai") - 75


def test_ids_of_calls_count_only_where_the_provider_keeps_them() -> None:
    turn = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "look", "arguments": "{}"}
    items = [{"role": "user", "content": "Hi."}, turn, {"type": "function_call_output", "call_id": "c", "output": "1"}]
    known, unknown, without = (
        count_prompt("gpt-4o", {"input": [items[0], one, items[2]], "store": store}, "responses") or 0
        for one, store in ((turn, True), (turn, False), (turn | {"id": None}, True))
    )
    assert known == unknown + LAYOUTS["gpt-4", "responses"].own_id
    assert unknown == without


def test_empty_instructions_are_no_message() -> None:
    assert count_prompt("gpt-4o", {"input": "Hi.", "instructions": ""}, "responses") == count_prompt(
        "gpt-4o", {"input": "Hi."}, "responses"
    )


@pytest.mark.parametrize(("endpoint", "key"), [("chat", "messages"), ("responses", "input")])
def test_gpt_5_that_does_not_reason_begins_its_answer_as_gpt_4_does(endpoint: str, key: str) -> None:
    constants = [frame(model, {key: ASK}, endpoint).constant for model in ("gpt-5-chat-latest", "gpt-5")]

    assert constants[0] - constants[1] == 1000


def test_a_tool_that_says_nothing_costs_the_o_series_no_less() -> None:
    bare = {"type": "function", "name": "look"}
    request = {"input": ASK, "tools": [bare]}
    told = {**request, "tools": [{**bare, "description": "Look."}]}

    assert frame("o3", request, "responses").constant == frame("o3", told, "responses").constant
    assert frame("gpt-5", request, "responses").constant < frame("gpt-5", told, "responses").constant


def test_a_rule_of_an_era_is_of_some_models_only() -> None:
    at = day("2025-10-01")

    assert layout_of("gpt-5", "responses", at, "gpt-5") != layout_of("gpt-5", "responses", at, "gpt-5-mini")


@pytest.mark.parametrize(("model", "passed_on"), [("openai/gpt-4.1-mini", True), ("openai/gpt-4o-mini", False)])
def test_openrouter_passes_chats_of_newer_models_on_to_responses(model: str, passed_on: bool) -> None:
    api = serving_api("chat", "openrouter", model)

    assert api == ("responses" if passed_on else "chat")
    assert serving_api("chat", "openai", model) == "chat"


def test_tools_that_come_within_the_conversation_are_billed_as_a_block_of_their_own() -> None:
    offered = {"type": "function", "name": "look", "description": "Look.", "parameters": {"type": "object"}}
    item = {"type": "additional_tools", "role": "developer", "tools": [offered]}
    message = {"role": "developer", "content": "x"}
    row = LAYOUTS["gpt-5", "responses"]

    plain = count_prompt("gpt-5", {"input": [*ASK, message]}, "responses")
    found = count_prompt("gpt-5", {"input": [*ASK, item]}, "responses")
    led = count_prompt("gpt-5", {"instructions": "Be brief.", "input": [*ASK, item]}, "responses")
    system = count_prompt("gpt-5", {"instructions": "Be brief.", "input": ASK}, "responses")

    block = tokens(write_tools([Tool("look", "Look.", {"type": "object"})]))
    assert None not in (plain, found, led, system)
    header = 4  # of the developer's message
    assert (found or 0) - ((plain or 0) - header - 1) == header + row.more_tools_alone + block
    assert (led or 0) - (system or 0) == header + row.more_tools + block


def test_a_message_without_any_content_is_not_shown_by_responses() -> None:
    asked = count_prompt("gpt-5", {"input": ASK}, "responses")

    assert count_prompt("gpt-5", {"input": [*ASK, {"role": "assistant", "content": []}]}, "responses") == asked
