"""`callcost tokens` counts, encodes and decodes what it is given, however it is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from callcost.helpers.counting import token_counter
from tests.command import callcost

MESSAGES = [{"role": "user", "content": "hello world"}]
TOOL = {"type": "function", "function": {"name": "now", "description": "The time", "parameters": {"type": "object"}}}


def test_a_text_from_an_argument_is_counted() -> None:
    finished = callcost("tokens", "count", "hello world")

    assert (finished.code, finished.stdout) == (0, "2\n")


def test_the_model_decides_the_vocabulary() -> None:
    finished = callcost("tokens", "encode", "hello world", "--model", "gpt-4")

    assert (finished.code, finished.stdout) == (0, "15339 1917\n")


@pytest.mark.parametrize("ids", ["15339 1917", "[15339, 1917]", "15339,1917"])
def test_ids_are_decoded(ids: str) -> None:
    finished = callcost("tokens", "decode", ids, "--model", "gpt-4")

    assert (finished.code, finished.stdout) == (0, "hello world\n")


def test_a_decoded_text_is_written_as_it_is() -> None:
    text = "\x1b[31mred\x1b[0m"
    ids = callcost("tokens", "encode", text).stdout

    assert callcost("tokens", "decode", ids).stdout == f"{text}\n"


def test_a_file_is_counted_to_the_last_byte(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"hello world\r\n\n")

    finished = callcost("tokens", "count", "--file", tmp_path / "a.txt")

    assert finished.stdout == f"{token_counter(model='gpt-4o', text='hello world' + chr(13) + chr(10) * 2)}\n"


@pytest.mark.parametrize("words", [["count"], ["count", "--file", "-"]])
def test_standard_input_is_counted(words: list[str]) -> None:
    assert callcost("tokens", *words, stdin="中文".encode()).stdout == "1\n"


@pytest.mark.parametrize("body", [MESSAGES, {"model": "x", "messages": MESSAGES}])
def test_messages_are_counted_in_their_framing(tmp_path: Path, body: Any) -> None:
    (tmp_path / "body.json").write_text(json.dumps(body), encoding="utf-8")

    finished = callcost("tokens", "count", "--messages", "--file", tmp_path / "body.json")

    assert finished.stdout == "9\n"


def test_the_tools_of_a_request_are_counted() -> None:
    finished = callcost("tokens", "count", "--messages", json.dumps({"messages": MESSAGES, "tools": [TOOL]}))

    assert int(finished.stdout) == token_counter(model="gpt-4o", messages=MESSAGES, tools=[TOOL])


def test_json_names_the_vocabulary_and_its_digest() -> None:
    counted = json.loads(callcost("tokens", "count", "hello world", "--format", "json").stdout)
    encoded = json.loads(callcost("tokens", "encode", "hello world", "--format", "json").stdout)
    decoded = json.loads(callcost("tokens", "decode", "24912 2375", "--format", "json").stdout)

    assert (counted["tokens"], counted["vocabulary"], counted["own_vocabulary"]) == (2, "o200k_base", True)
    assert len(counted["sha256"]) == 64
    assert encoded["ids"] == [24912, 2375]
    assert decoded["text"] == "hello world"


@pytest.mark.parametrize(
    "words",
    [
        ["count", "a", "--file", "b"],
        ["count", "--file", "no/such/file"],
        ["count", "--messages", "{"],
        ["count", "--messages", "{}"],
        ["count", "--messages", "3"],
        ["decode", "12 x"],
        ["decode", "-5"],
        ["install", "llama3", "--for", "logs"],
    ],
)
def test_wrong_words_end_with_2_and_one_line(words: list[str]) -> None:
    finished = callcost("tokens", *words)

    assert finished.code == 2
    assert finished.stdout == ""
    assert "Traceback" not in finished.stderr


def test_an_id_of_no_vocabulary_fails_with_a_named_error() -> None:
    finished = callcost("tokens", "decode", "99999999")

    assert finished.code == 1
    assert "o200k_base" in finished.stderr


def test_what_is_not_utf8_is_refused_with_its_place() -> None:
    finished = callcost("tokens", "count", stdin=b"ab\xff")

    assert finished.code == 2
    assert "byte 2" in finished.stderr
