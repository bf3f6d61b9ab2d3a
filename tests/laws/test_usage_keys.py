"""No usage key is read in silence: another number there changes the call, or flags it; and no tokens are context."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callcost.logs.dialects import field_readers
from callcost.logs.record_reader import CONTEXT, RecordReader
from callcost.logs.usage.spellings import SHAPES
from callcost.logs.usage.usage import OTHERWISE
from callcost.logs.values.json import decode
from callcost.logs.values.json_path import parse_path
from callcost.settings import ReadOptions
from callcost.tables import Call
from tests.logs.test_dialects import CASES

Path = tuple[str | int, ...]
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much]


def _records() -> list[dict[str, Any]]:
    """Return the records of all cases that stand on lines of their own."""
    found = []
    for path in CASES:
        for line in path.read_bytes().splitlines() if path.suffix == ".jsonl" else ():
            try:
                value = decode(line)
            except Exception:  # noqa: BLE001 - a case of a broken line
                continue
            if type(value) is dict:
                found.append(value)
    return found


def _usage_keys() -> frozenset[str]:
    tables = [shape.counts for shape in SHAPES] + [reader.dialect.counts for reader in field_readers()]
    return frozenset(
        parse_path(path)[-1]
        for table in tables
        for name, paths in table.items()
        if name not in OTHERWISE
        for path in paths
    )


KEYS = _usage_keys()


def _counts(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the places of known usage keys."""
    items = value.items() if type(value) is dict else enumerate(value) if type(value) is list else ()
    for key, below in items:
        if type(below) is int and str(key) in KEYS:
            yield (*path, key)
        yield from _counts(below, (*path, key))


def _read(record: dict[str, Any]) -> list[Any]:
    reader = RecordReader(ReadOptions())
    return [*reader.read_value(record, 1), *reader.finish()]


def _said(outcomes: list[Any]) -> Any:
    return [
        (one.usage, one.iterations, one.flags, one.unread_usage) if isinstance(one, Call) else one for one in outcomes
    ]


def _is_lawful(record: dict[str, Any], path: Path) -> bool:
    """Tell whether a number there is of the usage of a call: no chunk's before the last, no sum, no other measure."""
    keys = [str(key) for key in path]
    chunk = any(type(key) is int and "Details" not in keys[at - 1] for at, key in enumerate(path))
    other = keys[-1] in {"tokens_prompt", "tokens_completion"} or ("tokens" in keys[:-1][-1:] and "meta" in keys)
    summed = not {"total_token_usage", "thread_token_usage", "turn_token_usage", "tool_usage"}.isdisjoint(keys)
    unbilled = "count_tokens" in str(record) or record.get("object") == "response.input_tokens"
    return not (chunk or other or summed or unbilled)


PLACES = [(record, path) for record in _records() for path in _counts(record) if _is_lawful(record, path)]
NUMBERS = st.just(0) | st.integers(10**7, 10**8)  # so large that no sum comes about by chance


def _with(record: dict[str, Any], path: Path, number: int) -> dict[str, Any]:
    other = copy.deepcopy(record)
    holder: Any = other
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = number
    return other


@given(st.sampled_from(PLACES), NUMBERS)
@settings(deadline=None, max_examples=300, suppress_health_check=SLOW)
def test_another_number_changes_the_call_or_flags_it(place: tuple[dict[str, Any], Path], number: int) -> None:
    record, path = place
    before, other = _read(record), _with(record, path, number)
    if other == record or not any(isinstance(one, Call) and one.usage is not None for one in before):
        return
    after = _read(other)
    assert _said(after) != _said(before) or any(isinstance(one, Call) and one.flags for one in after)


@given(st.sampled_from(PLACES), st.integers(10**7, 10**8))
@settings(deadline=None, max_examples=300)
def test_a_record_that_states_tokens_is_never_context(place: tuple[dict[str, Any], Path], number: int) -> None:
    assert CONTEXT not in _read(_with(*place, number))
