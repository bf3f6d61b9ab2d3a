"""A mapping file reads what no dialect knows, through the same engine, and says what it does not understand."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from callcost.errors import ConfigError
from callcost.logs.mapping.mapping_file import dialect_of
from callcost.logs.record.dialect import FieldReader
from callcost.logs.record_reader import RecordReader
from callcost.logs.values.json import Refusal
from callcost.settings import ReadOptions
from callcost.tables import Call
from tests.logs.outcomes import calls_of, plain, read_lines, reasons_of

FULL = """
name = "gateway"
zone = "Europe/Berlin"
prompt = "exclusive"
cost_unit = "cents"
match = ["DeploymentName"]
json = ["Props"]

[columns]
model = "DeploymentName"
own_id = "CorrelationId"
user = ["Caller.name", "Caller.id"]
started_at = "TimeGenerated"
prompt_tokens = 'Tokens.in\\.fresh'
cache_read_input_tokens = "Tokens.cached"
completion_tokens = "Tokens.out"
logged_cost = "Price"
messages = "Question"
output_text = "Answer"

[tags]
region = "Props.region"
list = "Props.list"
"""
RECORD: dict[str, Any] = {
    "DeploymentName": "gpt-4o",
    "CorrelationId": "c-1",
    "Caller": {"id": 42},
    "TimeGenerated": "2025-07-24 11:20:46",
    "Tokens": {"in.fresh": 10, "cached": 90, "out": 5},
    "Price": 0.6,
    "Props": '{"region": "eu", "list": ["a", "b"]}',
    "Question": "Any tide tables?",
    "Answer": "Two.",
}


@pytest.fixture
def mapping(tmp_path: Path) -> ReadOptions:
    """Write the full mapping to a file."""
    path = tmp_path / "gateway.toml"
    path.write_text(FULL)
    return ReadOptions(mapping=str(path))


def _call(options: ReadOptions, record: dict[str, Any]) -> Call:
    (call,) = calls_of(RecordReader(options).read_value(record, 1))
    return call


def test_every_part_of_a_mapping_is_used(mapping: ReadOptions) -> None:
    call = _call(mapping, RECORD)
    assert plain(call) == {
        "call": {
            "source_format": "gateway",
            "family": "gateway",
            "own_id": "c-1",
            "duplicate_id": "c-1",
            "started_at": "2025-07-24T09:20:46+00:00",
            "model": "gpt-4o",
            "user": "42",
            "tags": {"list": "a|b", "region": "eu"},
            "endpoint": "chat",
            "status": "success",
            "usage": {
                "prompt_tokens": 100,
                "cache_read_input_tokens": 90,
                "completion_tokens": 5,
                "total_tokens": 105,
            },
            "usage_source": "reported",
            "logged_cost": "0.006",
            "source_row": 1,
        }
    }
    assert call.request == {"messages": [{"role": "user", "content": "Any tide tables?"}]}
    assert call.response["choices"][0]["message"]["content"] == "Two."
    assert call.request_digest is not None


def test_records_without_the_marks_fall_to_the_dialects(mapping: ReadOptions) -> None:
    reader = RecordReader(mapping)
    plain_row = {"model": "gpt-4o", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    assert calls_of(reader.read_value(plain_row, 1))[0].source_format == "plain"
    assert reasons_of(reader.read_value({"a": 1}, 1)) == ["unknown_dialect"]


def test_a_providers_usage_object_and_bodies_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text('[columns]\nmodel = "m"\nusage = "u"\nrequest = "q"\nresponse = "a"\n')
    usage = {"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 10}
    call = _call(ReadOptions(mapping=str(path)), {"m": "claude-sonnet-4-5", "u": usage, "q": {"messages": []}, "a": {}})
    assert call.usage is not None
    assert (call.source_format, call.usage.prompt_tokens, call.request) == ("my", 13, {"messages": []})


def test_refusals_are_the_same_as_in_a_dialect(mapping: ReadOptions) -> None:
    bad = {**RECORD, "Tokens": {"in.fresh": -1}}
    assert reasons_of(RecordReader(mapping).read_value(bad, 1)) == ["bad_count"]
    assert reasons_of(RecordReader(mapping).read_value({**RECORD, "DeploymentName": None}, 1)) == ["no_model"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": None}, "a table of paths is missing"),
        ({"columns": {"user": "u"}}, "no column says where the model stands"),
        ({"columns": {"model": "m", "colour": "c"}}, "unknown colour"),
        ({"columns": {"model": 5}}, "a path is text"),
        ({"zone": "Mars/Olympus"}, "no time zone is called 'Mars/Olympus'"),
        ({"zone": "../../etc/passwd"}, "no time zone"),
        ({"cost_unit": "shells"}, "cost_unit is 'shells'"),
        ({"prompt": "both"}, "prompt is 'both'"),
        ({"colours": []}, "unknown colours"),
    ],
    ids=str,
)
def test_a_wrong_mapping_says_what_is_wrong(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dialect_of(tomllib.loads(FULL) | change, "gateway.toml")


@pytest.mark.parametrize("text", ["columns = [", "\x00"])
def test_a_mapping_that_is_no_toml_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(ConfigError, match="is no TOML"):
        RecordReader(ReadOptions(mapping=str(tmp_path / "bad.toml")))
    with pytest.raises(ConfigError, match="cannot be read"):
        RecordReader(ReadOptions(mapping=str(tmp_path / "none.toml")))


def test_records_of_another_kind_are_context() -> None:
    table = {"columns": {"model": "m"}, "only": {"kind.name": ["llm", "embed*"]}, "provider": "azure"}
    reader = FieldReader(dialect_of(table))
    call = reader.read({"m": "gpt-4o", "kind": {"name": "embedding"}})
    assert call.provider == "azure"
    for other in ({"m": "gpt-4o", "kind": {"name": "chain"}}, {"m": "gpt-4o"}):
        with pytest.raises(Refusal, match="context"):
            reader.read(other)


def test_a_mapping_may_know_its_records_by_several_lists_of_keys() -> None:
    reader = FieldReader(dialect_of({"columns": {"model": "m"}, "match": [["a", "b"], ["c"]]}))
    assert [reader.recognises(record) for record in ({"a": 1, "b": 2}, {"c": 1}, {"a": 1})] == [True, True, False]
    with pytest.raises(ConfigError, match="match is a list of keys"):
        dialect_of({"columns": {"model": "m"}, "match": "a"})


DEEP = {
    "columns.model: a path has at most 100 parts": f'[columns]\nmodel = "{"a." * 10_000}b"',
    "tags.x: a path has at most 100 parts": f'[columns]\nmodel = "m"\n[tags]\nx = "{"a." * 10_000}b"',
    "columns.model: a path is text": f"[columns]\nmodel{'.a' * 5_000} = 1",
    "is nested too deeply": f'prompt{".a" * 5_000} = 1\n[columns]\nmodel = "m"',
    "deep.toml is nested too deeply": f"x = {'[' * 50_000}{']' * 50_000}",
    "json is a list of keys": 'json = 5\n[columns]\nmodel = "m"',
}


@pytest.mark.parametrize("message", DEEP)
def test_a_mapping_that_goes_too_deep_is_refused(tmp_path: Path, message: str) -> None:
    path = tmp_path / "deep.toml"
    path.write_text(DEEP[message], encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        RecordReader(ReadOptions(mapping=path))
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(path))


def test_what_one_record_tells_of_another_is_its_own(tmp_path: Path) -> None:
    """By ids, whatever stands between; a key that the other has itself stays."""
    table = """name = "tides"
    [[earlier]]
    keys = ["id", "cost"]
    take = { cost = "cost", model = "model" }
    by = [["id"], ["of"]]
    [only]
    of = ["?*"]
    [columns]
    model = "model"
    logged_cost = "cost"
    prompt_tokens = "in"
    """
    mapping = tmp_path / "tides.toml"
    mapping.write_text(table)
    costs = [b'{"id": 1, "cost": 0.5, "model": "a"}', b'{"id": 2, "cost": 0.25}']
    answers = [b'{"of": %d, "in": 7, "model": "b"}' % number for number in (1, 2, 3)]
    options = ReadOptions(mapping=str(mapping))
    calls = calls_of(read_lines(tmp_path / "log.jsonl", *costs, *answers, options=options))
    assert [call.logged_cost for call in calls] == [Decimal("0.5"), Decimal("0.25"), None]
    assert {call.model for call in calls} == {"b"}


def test_what_is_told_may_have_any_name(tmp_path: Path) -> None:
    table = """name = "tides"
    [[earlier]]
    keys = ["owner"]
    take = { "run by user" = "owner" }
    [only]
    in = ["?*"]
    [columns]
    model = "model"
    user = "earlier.run by user"
    prompt_tokens = "in"
    """
    mapping = tmp_path / "tides.toml"
    mapping.write_text(table)
    lines = [b'{"owner": "ana"}', b'{"in": 7, "model": "b"}']
    calls = calls_of(read_lines(tmp_path / "log.jsonl", *lines, options=ReadOptions(mapping=str(mapping))))
    assert [call.user for call in calls] == ["ana"]
