"""SQL over the tables of a report: calls, charges, spend and rejects, by Polars' SQL.

Sums, differences and products of money are exact. What goes wrong is said in one line that names the thing. A query
reads these tables and nothing else: Polars' own table functions, which open files, are refused before it is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import polars as pl

from callcost.arguments import nearest
from callcost.errors import ConfigError

_COLUMN = re.compile(r'unable to find column "([^"]+)"')
_TABLE = re.compile(r"relation '([^']+)' was not found")
_SELECTS = re.compile(r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*(?:select|with)\b", re.IGNORECASE | re.DOTALL)
# read_csv( and the like, also quoted, or with a comment between. Texts and comments are not told from the rest of a
# query: a reader of SQL that does so otherwise than Polars does would let some through.
_READS = re.compile(r"\b((?:read|scan)_\w+)[\"`]?\s*(?:\(|/\*|--)", re.IGNORECASE)
_HINT = "Write one SELECT over calls, charges, spend, rejects"
# USER is a function of SQL where it stands without quotes, and a column of ours. Texts, names in quotes
# and comments are passed over.
_USER = re.compile(
    r"""'(?:[^']|'')*'|"[^"]*"|`[^`]*`|--[^\n]*|/\*.*?\*/|(\buser\b)""", re.IGNORECASE | re.DOTALL
)
_NO_FUNCTION = "unsupported function 'user'"
_TAG = re.compile(r"""(?<!["'`\w])tag:\w+""")

# What may mean columns that it does not name: SELECT *, COLUMNS(...), NATURAL JOIN, and FROM or TABLE without a SELECT;
# what a comment stands in may, too.
_EVERY = re.compile(
    r"\b(?:select|distinct|all)\s*\*|[,.]\s*\*|\(\s*\*(?!\s*\))|\b(?:columns|natural|table)\b|--|/\*"
    r"|(?:\(|\b(?:all|union|except|intersect|distinct)\s)\s*from\b|^\W*with\b.*\)\s*from\b",
    re.IGNORECASE | re.DOTALL,
)
# But all columns of what the query itself named: these it had to say.
_OF_ITS_OWN = re.compile(
    r"\bselect\s+\*\s+from\s+(?!(?:calls|charges|spend|rejects)\b)\w+\s*(?=\)|;|$|\b(?:union|where|order|limit)\b)",
    re.IGNORECASE,
)


def columns_in(sql: str, columns: Iterable[str]) -> list[str] | None:
    """Return which columns of a table a query may mean, and more; None: all.

    >>> columns_in("SELECT COUNT(*), sum(cost) FROM calls", ["cost", "model"])
    ['cost']
    """
    return None if _EVERY.search(_OF_ITS_OWN.sub(" ", sql)) else [name for name in columns if name in sql.lower()]


def check_sql(sql: str) -> None:
    """Refuse what is no query, before anything is read for it.

    Raises:
        ConfigError: the query is none, or would read a file.
    """
    if not _SELECTS.match(sql):
        raise ConfigError(f"not a query: {sql.strip()[:60]!r}", hint=_HINT)
    if found := _READS.search(sql):
        raise ConfigError(f"a query reads no files: {found[1]}", hint=_HINT)


def run_sql(sql: str, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Answer a query.

    Args:
        sql: one SELECT.
        tables: name -> table.

    Raises:
        ConfigError: the query is wrong, is none, or would read a file.
    """
    check_sql(sql)
    try:
        return _execute(sql, tables)
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if reason == _NO_FUNCTION:
            quoted = _USER.sub(lambda found: '"user"' if found[1] else found[0], sql)
            if quoted != sql:
                return run_sql(quoted, tables)
        raise _explained(reason, tables, sql) from error


def _execute(sql: str, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    with pl.SQLContext(dict(tables), eager=True) as context:
        return context.execute(sql)


def _explained(reason: str, tables: Mapping[str, pl.DataFrame], sql: str) -> ConfigError:
    if found := _TABLE.search(reason):
        return ConfigError(f"no table {found[1]!r}", hint=f"There are {', '.join(tables)}")
    if found := _COLUMN.search(reason):
        holders = {column: name for name, table in reversed(list(tables.items())) for column in table.columns}
        near = nearest(found[1], holders)
        guess = f"Did you mean {near!r} of {holders[near]}" if near else "SELECT * FROM calls LIMIT 1 shows the columns"
        return ConfigError(f"no column {found[1]!r} in the query", hint=guess)
    if tag := _TAG.search(sql):
        hint = f'Write "{tag[0]}": it is a column of spend with --by {tag[0]}'
        return ConfigError(f"the query cannot be run: {tag[0]} needs quotes", hint=hint)
    reason = "Polars' SQL has not all of it" if reason.startswith("expression ") else reason  # the parser's own words
    return ConfigError(f"the query cannot be run: {reason}", hint="It is Polars' SQL: one SELECT")
