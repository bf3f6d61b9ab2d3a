"""Records of every dialect, whole, with every usage key that its tables know at drawn numbers.

A record is a template of what its writer writes: BODY stands for the response body of some API, Shapes for a usage
object of one of these spellings, Counts for the dialect's own counts. The numbers of a usage go together, but for some.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

from callcost.logs.dialects import field_reader
from callcost.logs.record_reader import RecordReader
from callcost.logs.usage.arithmetic import MODALITIES, SIDES
from callcost.logs.usage.spellings import SHAPES, Labelled, Shape
from callcost.logs.usage.usage import OTHERWISE
from callcost.logs.values.json_path import parse_path
from callcost.settings import ReadOptions
from callcost.tables import Call

Record = dict[str, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]
Keys = tuple[str | int, ...]
Numbers = dict[str, int]


class Drawn(NamedTuple):
    """A record, and where the usage keys stand that may stand in it, whether they do or not."""

    record: Record
    places: list[Keys]


class Shapes(NamedTuple):
    """The place of a usage object, and the names of the spellings that it may have there."""

    names: tuple[str, ...]


class Counts(NamedTuple):
    """The place of a dialect's own counts, beside what its writer puts there, and of what its paths begin with."""

    dialect: str
    beside: Record
    prefix: str = ""
    text: bool = False  # whether the numbers are written as text


BODY = object()
_DIGIT, _BELOW_100 = st.integers(0, 9), st.integers(0, 99)
_SIDE = st.integers(0, 10**6) | _DIGIT
_BY_NAME = {shape.name: shape for shape in SHAPES}
_ALL = Shapes(tuple(_BY_NAME))
_AT = "2026-03-01T10:00:00Z"
_HI = [{"role": "user", "content": "Hi"}]
_ANSWER = {"role": "assistant", "content": "Two."}
_CANDIDATES = [{"content": {"parts": [{"text": "Two."}], "role": "model"}, "finishReason": "STOP"}]


def _shapes(names: str) -> Shapes:
    return Shapes(tuple(names.split()))


_CHAT = _shapes("openai_chat openai_chat perplexity total_only")
_GEMINI = {"modelVersion": "gemini-2.5-pro", "responseId": "r-1", "candidates": _CANDIDATES}
_OPENAI = {"id": "chatcmpl-1", "created": 1_772_000_000, "model": "gpt-4o"}
_MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-20250514",
            "content": [{"type": "text", "text": "Two."}], "stop_reason": "end_turn"}  # fmt: skip
CHAT = _OPENAI | {
    "object": "chat.completion", "choices": [{"index": 0, "message": _ANSWER, "finish_reason": "stop"}], "usage": _CHAT,
}  # fmt: skip
BODIES: Mapping[str, Record] = {
    "openai_chat": CHAT,
    "openai_responses": {"id": "resp_1", "object": "response", "created_at": 1_772_000_000, "model": "gpt-4o",
                         "output": [{"type": "message", "role": "assistant", "content": []}],
                         "usage": _shapes("openai_responses")},
    "openai_completions": _OPENAI
    | {"object": "text_completion", "choices": [{"text": "Two.", "finish_reason": "stop"}], "usage": _CHAT},
    "openai_embeddings": {"object": "list", "model": "text-embedding-3-small",
                          "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "usage": _CHAT},
    "anthropic": _MESSAGE | {"usage": _shapes("anthropic")},
    "gemini": _GEMINI | {"usageMetadata": _shapes("gemini")},
    "gemini_snake": {"model_version": "gemini-2.5-pro", "response_id": "r-1", "candidates": _CANDIDATES,
                     "usage_metadata": _shapes("gemini_snake")},
    "bedrock_converse": {"stopReason": "end_turn", "output": {"message": {"role": "assistant", "content": []}},
                         "usage": _shapes("bedrock_converse")},
    "cohere": {"id": "c-1", "message": {"role": "assistant", "content": [{"type": "text", "text": "Two."}]},
               "finish_reason": "COMPLETE", "usage": _shapes("cohere")},
}  # fmt: skip
_PAIR = {"id": "p-1", "timestamp": _AT, "model": "gpt-4o", "request": {"model": "gpt-4o", "messages": _HI}}
_RUN = {"id": "run-1", "name": "Chat", "run_type": "llm", "start_time": _AT, "status": "success",
        "extra": {"metadata": {"ls_provider": "openai", "ls_model_name": "gpt-4o"}}}  # fmt: skip
_SPAN = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b101", "name": "chat",
         "startTimeUnixNano": "1752570000000000000"}  # fmt: skip
_ATTRIBUTES = {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.response.model": "gpt-4o"}
_SPENT = {"request_id": "chatcmpl-1", "call_type": "acompletion", "api_key": "k", "startTime": _AT, "spend": 0.1,
          "model": "gpt-4o", "custom_llm_provider": "openai"}  # fmt: skip
_STANDARD = {"id": "chatcmpl-1", "call_type": "acompletion", "startTime": _AT, "response_cost": 0.1, "model": "gpt-4o",
             "custom_llm_provider": "openai", "hidden_params": {}, "model_parameters": {}}  # fmt: skip
_INVOKED = {"schemaType": "ModelInvocationLog", "timestamp": _AT, "requestId": "r-1", "operation": "InvokeModel",
            "modelId": "us.anthropic.claude-sonnet-4-20250514-v1:0"}  # fmt: skip
_GENERATED = {"id": "gen-1", "created_at": _AT, "model": "openai/gpt-4o", "total_cost": 0.1}
_ROW = {"parentUuid": "u-0", "isSidechain": False, "sessionId": "s-1", "uuid": "u-1", "timestamp": _AT,
        "type": "assistant"}  # fmt: skip
_POSTED = {"method": "POST", "headers": {}}
_TRACED = {"id": "s-1", "trace_id": "t-1", "project_id": "p-1"}
_OBSERVED = {"id": "o-1", "traceId": "t-1", "type": "GENERATION", "startTime": _AT, "model": "gpt-4o"}

# Dialect -> what its writers write.
RECORDS: Mapping[str, tuple[Any, ...]] = {
    **{name: (body,) for name, body in BODIES.items() if name not in ("gemini_snake", "cohere")},
    "gemini": (BODIES["gemini"], BODIES["gemini_snake"]),
    "copilot_cli": ({"type": "assistant.usage", "id": "1", "timestamp": _AT,
                     "data": Counts("copilot_cli", {"model": "gpt-5.5", "apiCallId": "a-1"}, "usage.")},),
    "cursor_events": (Counts("cursor_events", {"timestamp": "1780000000123", "model": "gpt-4o", "kind": "Included",
                                               "requestsCosts": 1}),),
    "images": ({"created": 1_767_170_804, "model": "gpt-image-1", "data": [{"b64_json": "iVBO"}],
                "usage": _shapes("openai_responses")},),
    "transcription": ({"model": "gpt-4o-transcribe", "text": "Two.",
                       "usage": {"type": "tokens", "": _shapes("openai_responses")}},),
    "rerank": ({"model": "rerank-2", "data": [{"relevance_score": 0.5}], "usage": _shapes("total_only")},),
    "ocr": ({"model": "mistral-ocr-2505", "pages": [{"markdown": "Two."}], "usage_info": {"pages_processed": 3},
             "usage": _shapes("openai_chat")},),
    "ollama": ({"model": "llama3.2", "created_at": _AT, "message": _ANSWER, "done": True, "": _shapes("ollama")},),
    "pair": (_PAIR | {"response": BODY}, _PAIR | {"response": {"text": "Two."}, "usage": _ALL}),
    "plain": ({"id": "p-1", "timestamp": _AT, "model": "gpt-4o", "messages": _HI, "response": "Two.", "usage": _ALL},
              {"id": "p-1", "model": "gpt-4o", "messages": _HI, "response": BODY},
              Counts("plain", {"id": "p-1", "timestamp": _AT, "model": "gpt-4o", "prompt": "Hi", "response": "Two."}),
              {"id": "p-1", "model": "gpt-4o", "prompt": "Hi", "": _shapes("openai_chat anthropic codex")}),
    "har": ({"startedDateTime": _AT, "request": _POSTED | {"url": "https://api.openai.com/v1/chat/completions"},
             "response": {"status": 200, "headers": [], "content": {"text": BODY}}},),
    "vcr": ({"request": _POSTED | {"uri": "https://api.openai.com/v1/chat/completions", "body": "{}"},
             "response": {"status": {"code": 200}, "headers": {}, "body": {"string": BODY}}},),
    "openai_batch": ({"id": "b-1", "custom_id": "1", "response": {"status_code": 200, "body": BODY}, "error": None},),
    "anthropic_batch": ({"custom_id": "1", "result": {"type": "succeeded", "message": BODIES["anthropic"]}},),
    "bedrock_batch": ({"recordId": "1", "modelInput": {}, "modelOutput": BODIES["anthropic"]},),
    "gemini_batch": ({"key": "1", "response": BODIES["gemini"]},),
    "vertex_batch": ({"status": "", "processed_time": _AT, "request": {"contents": []}, "response": BODIES["gemini"]},),
    "bedrock_invocation_log": (
        _INVOKED | {"output": {"outputBodyJson": BODIES["anthropic"]}, "input": {"inputBodyJson": {"messages": _HI}}},
    ),
    "claude_code": (_ROW | {"message": BODIES["anthropic"]},),
    "qwen_code": (_ROW | {"model": "qwen3-coder-plus", "message": {"role": "model", "parts": []},
                          "usageMetadata": _shapes("gemini")},),
    "gemini_cli": ({"id": "n-1", "timestamp": _AT, "type": "gemini", "content": "Two.", "model": "gemini-2.5-pro",
                    "tokens": _shapes("gemini_cli")},),
    "codex": ({"timestamp": _AT, "type": "event_msg", "payload": {
        "type": "token_count", "info": {"last_token_usage": _shapes("codex")}}},
              {"timestamp": _AT, "type": "token_usage_record", "payload": {
        "response_id": "resp_1", "thread_id": "t", "model": "gpt-5-codex", "usage": _shapes("codex")}}),
    "langfuse": (_OBSERVED | {"usageDetails": Counts("langfuse", {}, "details.")},),
    "langfuse_events": ({"id": "e-1", "type": "generation-create", "timestamp": _AT,
                         "body": _OBSERVED | {"usageDetails": Counts("langfuse", {}, "details.")}},),
    "inspect_ai": (Counts("inspect_ai", {"event": "model", "epoch": 1, "timestamp": _AT, "model": "openai/gpt-4o",
                                         "output": {"model": "gpt-4o-2024-08-06"}}),),
    "openai_agents": ({"object": "trace.span", "id": "span_1", "trace_id": "trace_1", "started_at": _AT, "span_data": {
        "type": "generation", "model": "gpt-4o", "usage": _shapes("openai_responses openai_chat")}},),
    "open_webui": ({"id": "m-1", "parentId": "m-0", "childrenIds": [], "role": "assistant", "model": "gpt-4o",
                    "timestamp": 1_772_359_200, "usage": _CHAT},),
    "auggie": (Counts("auggie", {"sessionId": "s-1", "request_id": "r-1", "id": 1, "type": 10, "token_usage": {},
                                 "model": "claude-opus-4-7", "timestamp_ms": 1_772_359_200_000}),),
    "vscode_copilot": (Counts("vscode_copilot", {"requestId": "r-1", "modelId": "copilot/gpt-4o", "response": [],
                                                 "timestamp": 1_772_359_200_000}),),
    "langsmith": (_RUN | {"outputs": {"generations": [[{"text": "Two.", "message": {"kwargs": {
        "usage_metadata": _shapes("openai_responses anthropic")}}}]]}},
                  _RUN | {"outputs": {"llm_output": {"token_usage": _CHAT}}}, Counts("langsmith", _RUN)),
    "litellm_spend": (Counts("litellm_spend", _SPENT), _SPENT | {"metadata": {"usage_object": _CHAT}}),
    "litellm_standard": (Counts("litellm_standard", _STANDARD), _STANDARD | {"metadata": {"usage_object": _CHAT}},
                         _STANDARD | {"response": BODY}),
    "helicone": (Counts("helicone", {"request_id": "1", "request_created_at": _AT, "model": "gpt-4o"}),
                 {"request_id": "1", "request_created_at": _AT, "model": "gpt-4o", "response_body": BODY}),
    "portkey": (Counts("portkey", {"id": "1", "ai_org": "openai", "ai_model": "gpt-4o", "cost": 1}),),
    "apim": (Counts("apim", {"CorrelationId": "c-1", "SequenceNumber": "0", "DeploymentName": "small"}, text=True),
             Counts("apim", {"category": "GatewayLlmLogs", "time": _AT,
                             "properties": {"correlationId": "c-1", "modelName": "gpt-4o"}})),
    "weave": (_TRACED | {"op_name": "weave:///e/p/op/x:1", "started_at": _AT, "summary": {
        "usage": {"gpt-4o-2024-08-06": _shapes("openai_chat openai_responses anthropic")}}},),
    "kong": ({"client_ip": "10.0.0.1", "started_at": 1_772_359_200_000, "ai": {"proxy": {
        "meta": {"response_model": "gpt-4o", "provider_name": "openai"},
        "usage": _shapes("openai_chat openai_responses")}}},),
    "cloudflare_gateway": (Counts("cloudflare_gateway", {
        "id": "c-1", "created_at": _AT, "provider": "openai", "model": "gpt-4o", "cached": False, "status_code": 200,
        "tokens_in": 0, "tokens_out": 0}),),
    "envoy_gateway": (Counts("envoy_gateway", {
        "x-request-id": "e-1", "start_time": _AT, "genai_model_name": "gpt-4o", "genai_backend_name": "b"}),),
    "vercel_gateway": (Counts("vercel_gateway", _GENERATED | {"id": "gen_1", "native_tokens_prompt": 0}),),
    "opik": (Counts("opik", _TRACED | {"type": "llm", "start_time": _AT, "model": "gpt-4o", "usage": {}}),),
    "opik_anthropic": (Counts("opik_anthropic", _TRACED | {
        "type": "llm", "start_time": _AT, "model": "claude-sonnet-4-20250514",
        "usage": {"original_usage.cache_read_input_tokens": 0}}),),
    "openrouter_generation": (Counts("openrouter_generation", _GENERATED | {"tokens_prompt": 9}),
                              Counts("openrouter_generation", _GENERATED | {"native_tokens_prompt": 9})),
    "openrouter_activity_csv": (Counts("openrouter_activity_csv", {
        "generation_id": "gen-1", "created_at": _AT, "cost_total": "0.1", "model_permaslug": "openai/gpt-4o"},
                                       text=True),),
    "otel": (_SPAN | {"attributes": Counts("otel", _ATTRIBUTES)},),
    "vertex_log": ({"endpoint": "publishers/google/models/gemini-2.5-flash", "logging_time": _AT, "request_id": "1",
                    "model": "publishers/google/models/gemini-2.5-flash", "api_method": "GenerateContent",
                    "full_request": {"contents": []}, "full_response": BODIES["gemini"], "otel_log": None},),
    "cline": ({"ts": 1_771_416_000_000, "type": "say", "say": "api_req_started",
               "text": Counts("cline", {"request": "x", "apiProtocol": "anthropic"}, "text.")},),
    "amp": (Counts("amp", {"thread": "T-1", "messageId": 1, "role": "assistant", "usage": {"model": "gpt-4o"}}),),
    "zed": (Counts("zed", {"thread": "t1", "_key": "u1", "updated_at": _AT, "served": {"model": "gpt-4o"}}),),
    "cursor_csv": (Counts("cursor_csv", {"Date": _AT, "Kind": "On-Demand", "Model": "gpt-5.5", "Max Mode": "No",
                                         "Total Tokens": "0", "Cost": "0.10"}, text=True),),
}  # fmt: skip
_CASES = Path(__file__).parents[1] / "cases"
_OF_BODY = tuple(BODIES.values())
_PARTS = ("cache_read_input_tokens", "cache_creation_input_tokens", "reasoning_tokens")
_AS_TEXT = ("text", "string")  # keys under which a body is text


@functools.cache
def templates_of(dialect: str) -> tuple[Any, ...]:
    """Return what a dialect's writer writes: a template above, or the records of its cases that are calls alone."""
    found = []
    for path in sorted(_CASES.glob(f"{dialect}/*/record.jsonl")) if dialect not in RECORDS else ():
        for line in path.read_text().splitlines():
            record, reader = json.loads(line), RecordReader(ReadOptions())
            read = [*reader.read_value(record, 1), *reader.finish()]
            if [one for one in read if isinstance(one, Call) and one.usage] == read:
                found.append(Counts(dialect, record))
    return RECORDS.get(dialect) or tuple(found)


@st.composite
def whole_records(draw: Draw, dialect: str) -> Drawn:
    """Draw a record of a dialect."""
    places: list[Keys] = []
    return Drawn(_filled(draw, draw(st.sampled_from(templates_of(dialect))), (), places), places)


def _filled(draw: Draw, template: Any, path: Keys, places: list[Keys]) -> Any:
    if template is BODY:
        return _filled(draw, draw(st.sampled_from(_OF_BODY)), path, places)
    if isinstance(template, Shapes):
        return _usage(draw, _BY_NAME[draw(st.sampled_from(template.names))], path, places)
    if isinstance(template, Counts):
        return _own_counts(draw, template, path, places)
    if type(template) is dict:
        record = {key: _filled(draw, value, (*path, key) if key else path, places) for key, value in template.items()}
        return record | record.pop("", {})
    if type(template) is list:
        return [_filled(draw, value, (*path, place), places) for place, value in enumerate(template)]
    return template


def as_written(record: Any, key: str | int = "") -> Any:
    """Return a record with the bodies as text that its writer has as text."""
    if type(record) is dict:
        written = {name: as_written(value, name) for name, value in record.items()}
        return json.dumps(written) if key in _AS_TEXT else written
    return [as_written(value) for value in record] if type(record) is list else record


def _usage(draw: Draw, shape: Shape, path: Keys, places: list[Keys]) -> Record:
    numbers = _numbers(draw, shape)
    usage: Record = {}
    for name, paths in shape.counts.items():
        if name not in OTHERWISE:
            places.extend((*path, *parse_path(text)) for text in paths)
            _put(draw, usage, paths, numbers.get(name, 0), likely=name in ("prompt_tokens", "completion_tokens"))
    for unit, paths in shape.units.items():
        places.extend((*path, *parse_path(text)) for text in paths)
        if draw(_DIGIT) == 0:
            _put(draw, usage, paths, draw(st.integers(0, 5)), likely=bool(unit))
    for key in shape.extra_prompt:
        places.append((*path, key))
        _put(draw, usage, (key,), draw(st.sampled_from((0, 7))))
    for labelled in shape.lists:
        if draw(st.booleans()):
            entries = usage[labelled.path] = list(_entries(draw, labelled, numbers))
            places.extend((*path, labelled.path, place, labelled.number) for place in range(len(entries)))
    return usage


def _entries(draw: Draw, labelled: Labelled, numbers: Numbers) -> Iterable[Record]:
    labels = draw(_some_of(tuple(sorted(labelled.counts)), 3))
    for label in labels:
        yield {labelled.label: label, labelled.number: numbers.get(labelled.counts[label], 0) // len(labels)}


def _own_counts(draw: Draw, template: Counts, path: Keys, places: list[Keys]) -> Record:
    dialect = field_reader(template.dialect).dialect
    numbers = _numbers(draw, Shape(name="", marks=(), counts={}, prompt=dialect.prompt))
    record: Record = json.loads(json.dumps(template.beside))
    for name, paths in dialect.counts.items():
        if name not in OTHERWISE:
            own = [text.removeprefix(template.prefix) for text in paths]
            places.extend((*path, *parse_path(text)) for text in own)
            number: Any = numbers.get(name, 0)
            number = str(number) if template.text else number
            _put(draw, record, own, number, likely=name in ("prompt_tokens", "completion_tokens"))
    return record


def _put(draw: Draw, holder: Record, paths: Iterable[str], number: Any, *, likely: bool = False) -> None:
    """Put a number at none, one or two of its places; at the second it may be 0, or another."""
    chosen = draw(_some_of(tuple(paths), 2, unique=True))
    for place, text in enumerate(chosen or ([next(iter(paths))] if likely and draw(_DIGIT) else [])):
        value = number if draw(_DIGIT) else draw(_BELOW_100)
        put_at(holder, parse_path(text), draw(st.sampled_from((value, value, 0))) if place else value)


@functools.cache  # to make a strategy takes longer than to draw from it
def _some_of(values: tuple[str, ...], at_most: int, *, unique: bool = False) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), max_size=at_most, unique=unique)


def put_at(holder: Any, path: Keys, number: Any) -> bool:
    """Put a number at a path; tell whether it could be, and says something else than what stood there."""
    for key in path[:-1]:
        if (type(holder) is list) is not (type(key) is int):
            return False  # a list where the path has an object, or an object where it has a list
        holder = holder[key] if type(key) is int else holder.setdefault(key, {})
        if type(holder) not in (dict, list):
            return False
    if (type(holder) is list) is not (type(path[-1]) is int):
        return False
    before = holder[path[-1]] if type(path[-1]) is int else holder.get(path[-1])
    if type(before) in (dict, list):
        return False
    holder[path[-1]] = number
    return str(before or 0) != str(number)


def _numbers(draw: Draw, shape: Shape) -> Numbers:
    """Draw counts that go together in the meaning of a shape."""
    prompt, completion = draw(_SIDE), draw(_SIDE)
    read = draw(st.sampled_from((0, prompt // 2, prompt)))
    written = draw(st.sampled_from((0, (prompt - read) // 3)))
    reasoning = draw(st.sampled_from((0, completion // 2, completion)))
    beside = shape.reasoning in ("beside", "apart")
    exclusive = shape.prompt == "exclusive"
    parts = {
        f"{kind}_{side}_tokens": whole // (place + 2) if draw(st.booleans()) else 0
        for side, whole in (("input", prompt - read), ("output", completion - reasoning))
        for place, kind in enumerate(MODALITIES)
    }
    return parts | {
        "prompt_tokens": prompt - (read + written if exclusive else 0),
        "completion_tokens": completion - (reasoning if beside else 0),
        "total_tokens": prompt + completion - (reasoning if shape.reasoning == "apart" else 0),
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "cache_write_5m_tokens": written - written // 4,
        "cache_write_1h_tokens": written // 4,
        "reasoning_tokens": reasoning,
    }


@st.composite
def consistent_usages(draw: Draw, shape: Shape) -> tuple[Record, Numbers]:
    """Draw a usage object of a shape, both sides and each part at one place, and what it says in canonical meaning."""
    numbers, parts = _numbers(draw, shape), Numbers()
    usage: Record = {shape.marks[0]: 1} if shape.words else {}
    beside, exclusive = shape.reasoning in ("beside", "apart"), shape.prompt == "exclusive"
    for name, paths in shape.counts.items():
        apart = beside if name == "reasoning_tokens" else exclusive
        if name in SIDES or (name in _PARTS and (apart or draw(st.booleans()))):
            put_at(usage, parse_path(draw(st.sampled_from(paths))), numbers[name])
            parts[name] = numbers[name]
    read, reasoning = numbers["cache_read_input_tokens"], numbers["reasoning_tokens"]
    written = numbers["cache_creation_input_tokens"]
    sides = {
        "prompt_tokens": numbers["prompt_tokens"] + (read + written if exclusive else 0),
        "completion_tokens": numbers["completion_tokens"] + (reasoning if beside else 0),
    }
    return usage, parts | sides
