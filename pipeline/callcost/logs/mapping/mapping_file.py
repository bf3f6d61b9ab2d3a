"""Mapping files: a TOML table of one's own that says where each column stands, read into a ``Dialect``.

name = "gateway"             # source_format; also the family: ids are comparable with this mapping's only
zone = "Europe/Berlin"       # of times without one; UTC if left out
prompt = "exclusive"         # cache reads and writes stand beside prompt_tokens; "inclusive" if left out
cost_unit = "cents"          # of logged_cost: usd (if left out), cents, millicents, micros
match = ["DeploymentName"]   # read only records that have these keys, or one of several lists of keys; all if left out
json = ["metadata"]          # columns that hold JSON as text
provider = "azure"           # of records that name none

[columns]                    # canonical column = "path.to.it", or a list of paths, the first that is something wins
model = "DeploymentName"
user = ["caller.name", "caller.id"]
started_at = "TimeGenerated"
prompt_tokens = "PromptTokens"
completion_tokens = "CompletionTokens"
usage = "reply.usage"        # a provider's own usage object, instead of single counts
request = "body"             # the provider's own bodies: text to count where usage is missing
response = "reply"

[tags]
region = "props.region"

[only]                       # records are calls where the text at each path is like one of these; others are context
kind = ["llm", "embed*"]

The files of this kind in dialects/ are what callcost brings along; they are dialects like any other.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from callcost.errors import ConfigError
from callcost.logs.record.dialect import COLUMNS, CONTEXT, COUNTED_ELSEWHERE, Dialect, Entry, FieldReader
from callcost.logs.tracing.conversations import body_of, messages_of
from callcost.logs.values import json_path
from callcost.logs.values.json import Refusal
from callcost.logs.values.json_path import follow, follow_first, parse_path, parse_paths
from callcost.logs.values.scalars import read_tags, read_text
from callcost.logs.values.signatures import Signature
from callcost.tables import USAGE_COUNTS, Call

Paths = tuple[json_path.Path, ...]
Table = Mapping[str, Paths]
Only = Mapping[json_path.Path, tuple[str, ...]]  # path -> patterns of the texts there
COST_UNITS = {"usd": Decimal(1), "cents": Decimal("0.01"), "millicents": Decimal("0.00001"), "micros": Decimal("1e-6")}
_PLACES = ("usage", "request", "response", "messages", "output_text")
_DEEPEST = 100  # parts of a path; records of logs are a dozen deep
_KEYS = frozenset(
    ["name", "zone", "prompt", "cost_unit", "match", "json", "provider", "columns", "tags", "only", "zero_is_missing"]
)


def load_mapping(path: str) -> FieldReader:
    """Read a mapping file.

    Raises:
        ConfigError: the file cannot be read, or says something unknown.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        return FieldReader(dialect_of(table, path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"mapping {path} cannot be read: {type(error).__name__}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"mapping {path} is no TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"mapping {path} is nested too deeply") from None


def dialect_of(table: dict[str, Any], path: str = "mapping") -> Dialect:
    """Return the dialect that a mapping describes.

    Args:
        table: the mapping.
        path: path of the file, for messages.

    Raises:
        ConfigError: the mapping says something unknown.
    """
    columns = _paths_of(table.get("columns"), f"{path}: columns")
    tags = _paths_of(table.get("tags", {}), f"{path}: tags")
    only = _paths_of(table.get("only", {}), f"{path}: only")
    _refuse_unknown(set(table) - _KEYS, _KEYS, path)
    _refuse_unknown(set(columns) - COLUMNS - set(USAGE_COUNTS) - set(_PLACES), COLUMNS, f"{path}: columns")
    name = str(table.get("name") or Path(path).stem)
    fields = {column: paths for column, paths in columns.items() if column in COLUMNS}
    if "model" not in fields and "response" not in columns:
        raise ConfigError(f"{path}: no column says where the model stands", hint='Add model = "..." under [columns]')
    own = fields.get("own_id", fields.get("provider_response_id"))
    return Dialect(
        name=name,
        signatures=tuple(Signature(keys=frozenset(keys)) for keys in _alternatives(table.get("match", ()), path)),
        fields=({"duplicate_id": own} if own else {}) | fields,
        json_columns=_texts(table.get("json", ()), f"{path}: json"),
        usage=columns.get("usage", ("@",)),
        counts={column: paths for column, paths in columns.items() if column in USAGE_COUNTS},
        prompt=_one_of(table, "prompt", {"inclusive": "inclusive", "exclusive": "exclusive"}, path),
        request=columns.get("request", ()),
        response=columns.get("response", ()),
        unread_in="",
        zone=_zone(str(table.get("zone", "UTC")), path),
        cost_scale=_one_of(table, "cost_unit", COST_UNITS, path),
        zero_is_missing=bool(table.get("zero_is_missing")),
        no_counts=frozenset(path for paths in (*columns.values(), *tags.values()) for path in paths),
        settle=partial(
            _settle,
            tags=_parse_all(tags),
            messages=_parse_all(columns).get("messages", ()),
            answer=_parse_all(columns).get("output_text", ()),
            only={parse_path(place): patterns for place, patterns in only.items()},
            provider=str(table["provider"]) if "provider" in table else None,
        ),
    )


def _settle(
    call: Call, entry: Entry, *, tags: Table, messages: Paths, answer: Paths, only: Only, provider: str | None
) -> None:
    """Fill what stands in single columns: tags by name, messages and the answer's text; set aside what is no call."""
    for path, patterns in only.items():
        text = read_text(follow(entry.record, path)) or ""
        if not any(fnmatchcase(text, pattern) for pattern in patterns):
            raise Refusal(CONTEXT if call.usage is None else COUNTED_ELSEWHERE)
    call.provider = call.provider or provider
    found = {tag: follow_first(entry.record, paths) for tag, paths in tags.items()}
    call.tags = read_tags((call.tags or {}) | {tag: value for tag, value in found.items() if value is not None})
    asked, answered = follow_first(entry.record, messages), follow_first(entry.record, answer)
    if asked is not None:
        call.request = {"messages": messages_of(asked)}
        entry.distinct = call.request
    if type(answered) is str:
        call.response = body_of([answered])
    call.endpoint = call.endpoint or ("chat" if call.request or call.response else None)


def _parse_all(columns: Mapping[str, tuple[str, ...]]) -> dict[str, Paths]:
    return {column: parse_paths(paths) for column, paths in columns.items()}


def _alternatives(match: Any, path: str) -> list[list[str]]:
    """Return the lists of keys of ``match``: one, or several."""
    lists = match if type(match) is list and match and all(type(keys) is list for keys in match) else [match]
    if not all(isinstance(keys, list | tuple) and all(type(key) is str for key in keys) for keys in lists):
        raise ConfigError(f"{path}: match is a list of keys, or several such lists")
    return lists


def _texts(value: Any, place: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(type(text) is str for text in value):
        raise ConfigError(f"{place} is a list of keys")
    return tuple(value)


def _paths_of(section: Any, place: str) -> dict[str, tuple[str, ...]]:
    if type(section) is not dict:
        raise ConfigError(f"{place}: a table of paths is missing")
    paths = {column: tuple(path) if type(path) is list else (path,) for column, path in section.items()}
    for column, texts in paths.items():
        if not all(type(text) is str for text in texts):
            raise ConfigError(f"{place}.{column}: a path is text")
        if max((len(parse_path(text)) for text in texts), default=0) > _DEEPEST:
            raise ConfigError(f"{place}.{column}: a path has at most {_DEEPEST} parts")
    return paths


def _refuse_unknown(unknown: set[str], known: frozenset[str], place: str) -> None:
    if unknown:
        names, hint = ", ".join(sorted(unknown)), f"Known are {', '.join(sorted(known))}"
        raise ConfigError(f"{place}: unknown {names}", hint=hint)


def _one_of(table: dict[str, Any], key: str, choices: dict[str, Any], path: str) -> Any:
    word = str(table.get(key, next(iter(choices))))
    if word not in choices:
        raise ConfigError(f"{path}: {key} is {word!r}", hint=f"It may be {', '.join(choices)}")
    return choices[word]


def _zone(name: str, path: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = 'Use an IANA name like "Europe/Berlin"'
        raise ConfigError(f"{path}: no time zone is called {name!r}", hint=hint) from None
