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
"model|usage.model" = ["?*"] # ... at the first of several paths that is something; here: whatever it is

What few need, and the files in dialects/ that callcost brings along, which are dialects like any other:

rank = 24                    # who is asked first; 50 if left out
completion = "exclusive"     # reasoning stands beside completion_tokens
model = "unknown"            # of records that name none
session_sum = true           # each record sums a session (or those with more than 1 at a path): no long prompt's price
last_request = true          # the counts are those of the last request of several: no price is whole
same = ["time", "tokens.in"] # records are one call where all these are equal, or a list of such lists; else by the id
span = ["session"]           # what names this call where others may be made inside it, which then count in its place
parent = ["session"]         # the span that a call was made inside
traces = true                # span and parent are ids of a trace and of a span, and the same in other exports of it
family = "gateway"           # ids are comparable with those of this family's
noted = ["tokens.sum"]       # numbers that say nothing more
money = ["cost"]             # keys whose amounts are written for people: "$1,000.19"
repeats = true               # what records that are no calls state of tokens, calls of the same log state, too

[[match]]                    # in place of match above: keys, and what stands at paths
keys = ["id", "usage"]       # also some, none: lists of keys
values = { type = ["message", "session.*"] } # a text, or how it begins
kinds = { usage = "object" } # object, array, text, number

[exclusive_where]            # prompt is exclusive where the text at each path is like one of these
provider = ["anthropic*"]

[nothing]                    # texts that say nothing
cost = ["-", "Included"]

[[envelope]]                 # an object that holds records; told like [[match]]
rows = ["turns", "log.events"] # keys down to them; * is every key of an object, which records have as _key
keys = ["turns"]
inherits = ["id:thread"]     # keys that records get where they lack them, here under another name

[[earlier]]                  # what a record tells of those after it in its file; told like [[match]]
values = { type = ["session"] }
take = { session = "id" }    # a path "earlier.session" finds it
anew = true                  # nothing holds on that was told before it
by = [["id"], ["toId"]]      # ... or only the record whose toId is this id is told, as if "session" stood in it

[[sqlite]]                   # records of a database that has these tables or columns; only in files of dialects/
tables = ["message", "session.directory"] # without: a list of those that it has not
query = "SELECT ..."         # a record a row; a single column holds it as JSON
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from callcost.errors import ConfigError
from callcost.logs.mapping.mapping_rules import (
    Paths,
    Rules,
    Taken,
    carry_earlier,
    parts_beside,
    settle_rules,
    tidy,
)
from callcost.logs.record.dialect import COLUMNS, Dialect, FieldReader
from callcost.logs.record.envelopes import Envelope
from callcost.logs.record.stores import Store
from callcost.logs.tracing.attributes import PECULIAR_IDS
from callcost.logs.usage.arithmetic import REASONING
from callcost.logs.values.json_path import Path as Place
from callcost.logs.values.json_path import parse_path, parse_paths
from callcost.logs.values.signatures import KINDS, Signature
from callcost.tables import INCOMPLETE, SESSION_SUM, USAGE_COUNTS

COST_UNITS = {"usd": Decimal(1), "cents": Decimal("0.01"), "millicents": Decimal("0.00001"), "micros": Decimal("1e-6"),
              "nano_aiu": Decimal("1e-11")}  # fmt: skip
_PLACES = ("usage", "request", "response", "messages", "output_text")
_DEEPEST = 100  # parts of a path; records of logs are a dozen deep
_KEYS = frozenset(
    ["name", "family", "rank", "match", "json", "zone", "prompt", "completion", "exclusive_where", "cost_unit",
     "provider", "model", "only", "columns", "tags", "zero_is_missing", "session_sum", "last_request", "same", "span",
     "parent", "traces", "noted", "repeats", "nothing", "money", "envelope", "earlier", "sqlite"]
)  # fmt: skip
_CONDITIONS = frozenset(["keys", "some", "none", "values", "kinds"])
_FLAGS = {"session_sum": SESSION_SUM, "last_request": INCOMPLETE}
_STORE = frozenset(["tables", "without", "query"])
_WORDS = {"inclusive": "inclusive", "exclusive": "exclusive"}


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
    _refuse_unknown(set(table) - _KEYS, _KEYS, path)
    _refuse_unknown(set(columns) - COLUMNS - set(USAGE_COUNTS) - set(_PLACES), COLUMNS, f"{path}: columns")
    name = str(table.get("name") or Path(path).stem)
    fields = {column: paths for column, paths in columns.items() if column in COLUMNS}
    if not {"model", "response"} & columns.keys() and "model" not in table:
        raise ConfigError(f"{path}: no column says where the model stands", hint='Add model = "..." under [columns]')
    own = fields.get("own_id", fields.get("provider_response_id"))
    rules = _rules_of(table, columns, tags, path)
    taken = tuple(_taken(each, f"{path}: earlier") for each in _tables(table, "earlier", path))
    return Dialect(
        name=name,
        family=str(table.get("family", name)),
        rank=_rank(table, path),
        signatures=_signatures(table.get("match", ()), path),
        envelopes=tuple(_envelope(each, f"{path}: envelope") for each in _tables(table, "envelope", path)),
        fields=({"duplicate_id": own} if own else {}) | fields,
        prepare=_prepare(table, path),
        json_columns=_texts(table.get("json", ()), f"{path}: json"),
        usage=columns.get("usage", ("@",)),
        counts={column: paths for column, paths in columns.items() if column in USAGE_COUNTS},
        prompt=_one_of(table, "prompt", _WORDS, path),
        beside=_beside(table, path),
        request=columns.get("request", ()),
        response=columns.get("response", ()),
        unread_in="",
        noted=_texts(table.get("noted", ()), f"{path}: noted"),
        zone=_zone(str(table.get("zone", "UTC")), path),
        cost_scale=_one_of(table, "cost_unit", COST_UNITS, path),
        zero_is_missing=bool(table.get("zero_is_missing")),
        no_counts=None if SESSION_SUM in rules.flags else frozenset([*_paths(columns, tags), *_sums(table)]),
        alone=not (taken or table.get("repeats")),
        reads=_reads(table, columns, tags, path),
        carry=partial(carry_earlier, taken=taken) if taken else None,
        repeats=bool(table.get("repeats")),
        peculiar_ids=PECULIAR_IDS if table.get("traces") is True else None,
        stores=tuple(_store(each, f"{path}: sqlite") for each in _tables(table, "sqlite", path)),
        settle=partial(settle_rules, rules=rules),
    )


def _rules_of(
    table: dict[str, Any], columns: Mapping[str, tuple[str, ...]], tags: Mapping[str, tuple[str, ...]], path: str
) -> Rules:
    return Rules(
        tags={tag: parse_paths(paths) for tag, paths in tags.items()},
        messages=parse_paths(columns.get("messages", ())),
        answer=parse_paths(columns.get("output_text", ())),
        only=_only(table, "only", path),
        same=_names(table, "same", path),
        span=_names(table, "span", path),
        parent=_names(table, "parent", path),
        provider=_word(table, "provider"),
        model=_word(table, "model"),
        flags=tuple(flag for key, flag in _FLAGS.items() if table.get(key) is True),
        sums=parse_paths(_sums(table)),
        traces=table.get("traces") is True,
    )


def _beside(table: dict[str, Any], path: str) -> Callable[[Mapping[str, Any]], Collection[str]] | None:
    """Return what tells of a record which parts stand beside their side; None: the same for all."""
    apart = (REASONING,) if _one_of(table, "completion", _WORDS, path) == "exclusive" else ()
    where = _only(table, "exclusive_where", path)
    return partial(parts_beside, always=apart, where=where) if apart or where else None


def _only(table: dict[str, Any], key: str, path: str) -> dict[Paths, tuple[str, ...]]:
    patterns = _paths_of(table.get(key, {}), f"{path}: {key}")
    return {parse_paths(places.split("|")): texts for places, texts in patterns.items()}


def _reads(
    table: dict[str, Any], columns: Mapping[str, tuple[str, ...]], tags: Mapping[str, tuple[str, ...]], path: str
) -> tuple[str, ...]:
    """Return the paths that rules look at beside those of the tables."""
    named = [texts for key in ("same", "span", "parent") for texts in _lists(table.get(key, ()), f"{path}: {key}")]
    asked = [
        places.split("|") for key in ("only", "exclusive_where") for places in _paths_of(table.get(key, {}), path)
    ]
    texts = [columns.get(column, ()) for column in ("messages", "output_text")]
    ends = (_sums(table), table.get("nothing", ()), table.get("money", ()))
    return tuple(chain(*tags.values(), *named, *asked, *texts, *ends))


def _paths(*tables: Mapping[str, tuple[str, ...]]) -> list[str]:
    return [path for table in tables for paths in table.values() for path in paths]


def _sums(table: dict[str, Any]) -> list[str]:
    """Return the path at which something says that a record is a sum, if that is how it is told."""
    return [path for path in [table.get("session_sum")] if type(path) is str]


def _prepare(table: dict[str, Any], path: str) -> Callable[[dict[str, Any]], dict[str, Any]] | None:
    nothing = {key: frozenset(texts) for key, texts in _paths_of(table.get("nothing", {}), f"{path}: nothing").items()}
    money = frozenset(_texts(table.get("money", ()), f"{path}: money"))
    return partial(tidy, nothing=nothing, money=money) if nothing or money else None


def _rank(table: dict[str, Any], path: str) -> int:
    rank = table.get("rank", 50)
    if type(rank) is not int:
        raise ConfigError(f"{path}: rank is a whole number")
    return rank


def _tables(table: dict[str, Any], key: str, path: str) -> list[dict[str, Any]]:
    tables = table.get(key, [])
    if type(tables) is not list or not all(type(each) is dict for each in tables):
        raise ConfigError(f"{path}: {key} is written [[{key}]]")
    return tables


def _word(table: dict[str, Any], key: str) -> str | None:
    return str(table[key]) if key in table else None


def _signatures(match: Any, path: str) -> tuple[Signature, ...]:
    """Return what ``match`` says: one list of keys, several, or tables."""
    if type(match) is list and match and all(type(each) is dict for each in match):
        return tuple(_signature(each, f"{path}: match") for each in match)
    return tuple(Signature(keys=frozenset(keys)) for keys in _lists(match, f"{path}: match"))


def _signature(table: dict[str, Any], place: str, further: frozenset[str] = frozenset()) -> Signature:
    _refuse_unknown(set(table) - _CONDITIONS - further, _CONDITIONS | further, place)
    kinds = _paths_of(table.get("kinds", {}), f"{place}: kinds")
    _refuse_unknown(set(chain(*kinds.values())) - KINDS.keys(), frozenset(KINDS), f"{place}: kinds")
    stated = _paths_of(table.get("values", {}), f"{place}: values")
    values = [(parse_path(where), texts) for where, texts in stated.items()]
    return Signature(
        keys=frozenset(_texts(table.get("keys", ()), f"{place}: keys")),
        some=frozenset(_texts(table.get("some", ()), f"{place}: some")),
        none=frozenset(_texts(table.get("none", ()), f"{place}: none")),
        values=tuple((where, frozenset(texts)) for where, texts in values if not any(map(_is_start, texts))),
        starts=tuple(
            (where, tuple(text.removesuffix("*") for text in texts))
            for where, texts in values
            if any(map(_is_start, texts))
        ),
        kinds=tuple(
            (parse_path(where), tuple(one for name in names for one in KINDS[name])) for where, names in kinds.items()
        ),
    )


def _is_start(text: str) -> bool:
    return text.endswith("*")


def _envelope(table: dict[str, Any], place: str) -> Envelope:
    signature = _signature(table, place, frozenset(["rows", "inherits"]))
    rows = tuple(map(parse_path, _texts(table.get("rows", ()), f"{place}: rows")))
    if not rows:
        raise ConfigError(f"{place}: no rows")
    inherits = _texts(table.get("inherits", ()), f"{place}: inherits")
    return Envelope(signatures=(signature,), rows=rows[0], also=rows[1:], inherits=inherits)


def _store(table: dict[str, Any], place: str) -> Store:
    _refuse_unknown(set(table) - _STORE, _STORE, place)
    tables, query = _texts(table.get("tables", ()), f"{place}: tables"), table.get("query")
    if not tables or type(query) is not str:
        raise ConfigError(f"{place}: tables and a query are missing")
    return Store(query=query, tables=tables, without=_texts(table.get("without", ()), f"{place}: without"))


def _taken(table: dict[str, Any], place: str) -> Taken:
    names = {name: parse_paths(paths) for name, paths in _paths_of(table.get("take"), f"{place}: take").items()}
    by = _names(table, "by", place) if "by" in table else ()
    if len(by) not in (0, 2):
        raise ConfigError(f"{place}: by is two lists of keys")
    of = _signature(table, place, frozenset(["take", "by", "anew"]))
    return Taken(of, names, by, table.get("anew") is True)


def _names(table: dict[str, Any], key: str, path: str) -> tuple[tuple[Place, ...], ...]:
    return tuple(parse_paths(paths) for paths in _lists(table.get(key, ()), f"{path}: {key}"))


def _lists(value: Any, place: str) -> list[list[str]]:
    """Return lists of texts: one, or several."""
    lists = value if type(value) is list and value and all(type(texts) is list for texts in value) else [value]
    if not all(isinstance(texts, list | tuple) and all(type(text) is str for text in texts) for texts in lists):
        raise ConfigError(f"{place} is a list of keys, or several such lists")
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
