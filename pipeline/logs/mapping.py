"""Mapping files: a TOML table of one's own that says where each column stands, read into a ``Dialect``.

name = "gateway"             # source_format; also the family: ids are comparable with this mapping's only
zone = "Europe/Berlin"       # of times without one; UTC if left out
prompt = "exclusive"         # cache reads and writes stand beside prompt_tokens; "inclusive" if left out
cost_unit = "cents"          # of logged_cost: usd (if left out), cents, millicents, micros
match = ["DeploymentName"]   # read only records that have these keys; all of them if left out
json = ["metadata"]          # columns that hold JSON as text

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
"""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pipeline.errors import ConfigError
from pipeline.logs.fields import COLUMNS, Dialect, Entry, FieldReader
from pipeline.logs.paths import follow, parse_path
from pipeline.logs.signatures import Signature
from pipeline.logs.values import read_tags
from pipeline.tables import USAGE_COUNTS, Call

COST_UNITS = {"usd": Decimal(1), "cents": Decimal("0.01"), "millicents": Decimal("0.00001"), "micros": Decimal("1e-6")}
_PLACES = ("usage", "request", "response", "messages", "output_text")
_KEYS = frozenset(["name", "zone", "prompt", "cost_unit", "match", "json", "columns", "tags", "zero_is_missing"])


def load_mapping(path: str) -> FieldReader:
    """Read a mapping file.

    Raises:
        ConfigError: the file cannot be read, or says something unknown.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"mapping {path} cannot be read: {type(error).__name__}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"mapping {path} is no TOML: {error}") from None
    return FieldReader(dialect_of(table, path))


def dialect_of(table: dict[str, Any], path: str = "mapping") -> Dialect:
    """Return the dialect that a mapping describes.

    Args:
        table: the mapping.
        path: of the file, for messages.

    Raises:
        ConfigError: the mapping says something unknown.
    """
    columns = _paths_of(table.get("columns"), f"{path}: columns")
    tags = _paths_of(table.get("tags", {}), f"{path}: tags")
    _refuse_unknown(set(table) - _KEYS, _KEYS, path)
    _refuse_unknown(set(columns) - COLUMNS - set(USAGE_COUNTS) - set(_PLACES), COLUMNS, f"{path}: columns")
    name = str(table.get("name") or Path(path).stem)
    fields = {column: paths for column, paths in columns.items() if column in COLUMNS}
    if "model" not in fields and "response" not in columns:
        raise ConfigError(f"{path}: no column says where the model stands", hint='Add model = "..." under [columns]')
    own = fields.get("own_id", fields.get("provider_response_id"))
    return Dialect(
        name=name,
        family=name,
        signatures=(Signature(keys=frozenset(map(str, table.get("match", ())))),),
        fields=({"duplicate_id": own} if own else {}) | fields,
        json_columns=tuple(map(str, table.get("json", ()))),
        usage=columns.get("usage", ("@",)),
        counts={column: paths for column, paths in columns.items() if column in USAGE_COUNTS},
        prompt=_one_of(table, "prompt", {"inclusive": "inclusive", "exclusive": "exclusive"}, path),
        request=columns.get("request", ()),
        response=columns.get("response", ()),
        zone=_zone(str(table.get("zone", "UTC")), path),
        cost_scale=_one_of(table, "cost_unit", COST_UNITS, path),
        zero_is_missing=bool(table.get("zero_is_missing")),
        settle=_Settler(tags, columns.get("messages", ()), columns.get("output_text", ())),
    )


class _Settler:
    """Fill what stands in single columns: tags by name, messages and the answer's text."""

    def __init__(self, tags: dict[str, tuple[str, ...]], messages: tuple[str, ...], answer: tuple[str, ...]) -> None:
        self.tags = {tag: tuple(parse_path(path) for path in paths) for tag, paths in tags.items()}
        self.messages = tuple(parse_path(path) for path in messages)
        self.answer = tuple(parse_path(path) for path in answer)

    def __call__(self, call: Call, entry: Entry) -> None:
        """Fill one call."""
        found = {tag: _first(entry, paths) for tag, paths in self.tags.items()}
        call.tags = read_tags((call.tags or {}) | {tag: value for tag, value in found.items() if value is not None})
        messages, answer = _first(entry, self.messages), _first(entry, self.answer)
        if messages is not None:
            call.request = {"messages": [{"role": "user", "content": messages}] if type(messages) is str else messages}
            entry.distinct = call.request
        if type(answer) is str:
            call.response = {"choices": [{"index": 0, "message": {"role": "assistant", "content": answer}}]}
        call.endpoint = call.endpoint or ("chat" if call.request or call.response else None)


def _first(entry: Entry, paths: tuple[tuple[str, ...], ...]) -> Any:
    return next((value for value in (follow(entry.record, path) for path in paths) if value is not None), None)


def _paths_of(section: Any, place: str) -> dict[str, tuple[str, ...]]:
    if type(section) is not dict:
        raise ConfigError(f"{place}: a table of paths is missing")
    paths = {column: tuple(path) if type(path) is list else (path,) for column, path in section.items()}
    for column, texts in paths.items():
        if not all(type(text) is str for text in texts):
            raise ConfigError(f"{place}.{column}: a path is text")
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
