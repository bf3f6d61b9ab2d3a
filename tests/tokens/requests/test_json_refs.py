"""References inside a schema are written out, as far as that ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from callcost.tokens.requests.json_refs import MAX_WRITTEN, follow, resolve

POINT = {"type": "object", "properties": {"x": {"type": "integer"}}}


def test_a_reference_is_replaced_by_what_it_points_to() -> None:
    schema = {"properties": {"at": {"$ref": "#/$defs/Point"}}, "$defs": {"Point": POINT}}

    assert resolve(schema)["properties"]["at"] == POINT
    assert follow({"$ref": "#"}, schema) == schema


def test_keys_beside_a_reference_win() -> None:
    root = {"$defs": {"Point": {**POINT, "description": "old"}}}

    assert follow({"$ref": "#/$defs/Point", "description": "new"}, root) == {**POINT, "description": "new"}


@pytest.mark.parametrize("path", ["#/$defs/none", "elsewhere.json#/a", "", "#/$defs/Point/type/string", "#" * 9])
def test_a_reference_that_leads_nowhere_leaves_an_empty_schema(path: str) -> None:
    assert follow({"$ref": path}, {"$defs": {"Point": POINT}}) == {}


@pytest.mark.parametrize("given", [None, 3, "text", [], True])
def test_what_is_no_schema_stays(given: Any) -> None:
    assert resolve(given) == given
    assert follow(given, {}) == {}


def test_references_in_a_circle_end() -> None:
    root = {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}

    assert json.dumps(follow({"$ref": "#/$defs/a"}, root)).count("$ref") == 1
    assert json.dumps(resolve(root)).count("$ref") < 5


@pytest.mark.parametrize("ways", [2, 50, 2000])
def test_references_that_double_end(ways: int) -> None:
    tree = {"type": "object", "description": "d" * 1000, "properties": {f"p{n}": {"$ref": "#"} for n in range(ways)}}

    assert len(json.dumps(resolve(tree))) < 8 * MAX_WRITTEN
