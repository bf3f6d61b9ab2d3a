"""The figures of an analyst's questions over the generated month, by DuckDB from the logs and published rates alone.

Nothing of callcost's takes part: copies are told by their ids, costs are tokens times RATES.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.month import LONG, RATES

_TO_STDOUT = ("--out", "-", "--format", "csv")
_CSV = ("--format", "csv")


class Answer(NamedTuple):
    """What a question's command has to give.

    Attributes:
        columns: of the command's answer, that are compared.
        sql: gives the same columns, over ``calls``.
        flags: let the command write CSV.
    """

    columns: tuple[str, ...]
    sql: str
    flags: tuple[str, ...] = _CSV


_WEEKS = "'2025-10-13' AND timestamp < '2025-10-20'", "'2025-10-20' AND timestamp < '2025-10-27'"
ANSWERS = {
    1: Answer(("user", "calls", "total_cost"), 'SELECT "user", COUNT(*), SUM(cost) FROM calls GROUP BY ALL',
              _TO_STDOUT),
    2: Answer(("team", "day", "calls", "total_cost"),
              "SELECT team, CAST(timestamp AS DATE), COUNT(*), SUM(cost) FROM calls GROUP BY ALL", _TO_STDOUT),
    3: Answer(("model", "first_cost", "second_cost"),
              f"SELECT model, SUM(cost) FILTER (timestamp >= {_WEEKS[0]}), SUM(cost) FILTER (timestamp >= {_WEEKS[1]}) "
              "FROM calls GROUP BY model"),
    4: Answer(("model", "cache_hit_rate", "cache_savings_cost"),
              "SELECT model, CAST(SUM(read) / SUM(prompt) AS DECIMAL(38, 12)), "
              "SUM((read + written) * r[1] - read * r[2] - written * r[3]) FROM calls GROUP BY model"),
    6: Answer(("model", "calls", "old_cost", "new_cost"),  # each of their providers takes half for a batch
              "SELECT model, COUNT(*), SUM(cost), SUM(cost) / 2 FROM calls GROUP BY model"),
    7: Answer(("what", "total_cost"),
              "(SELECT 'call', cost FROM calls ORDER BY cost DESC LIMIT 10) UNION ALL "
              "(SELECT 'session', SUM(cost) AS cost FROM calls GROUP BY session ORDER BY cost DESC LIMIT 10)"),
    8: Answer(("model", "call_cost", "user_cost"),
              "SELECT model, SUM(cost) / COUNT(*), SUM(cost) / COUNT(DISTINCT \"user\") FROM calls GROUP BY model"),
    9: Answer(("model", "median", "p95"),
              "SELECT model, MEDIAN(cost::DOUBLE), QUANTILE_CONT(cost::DOUBLE, 0.95) FROM calls GROUP BY model"),
    12: Answer(("tag:env", "calls", "total_cost"), "SELECT tags.env, COUNT(*), SUM(cost) FROM calls GROUP BY ALL",
               _TO_STDOUT),
    13: Answer(("model", "calls", "cost"),
               "SELECT model, COUNT(*), SUM(cost) FROM calls WHERE status = 'failure' GROUP BY model"),
    14: Answer(("model", "retried_cost", "duplicate_cost", "copies_left_out"),
               "SELECT model, SUM(cost) FILTER (status = 'failure'), COALESCE(SUM(cost) FILTER (twin > 1), 0), "
               "ANY_VALUE(copies) FROM calls JOIN copies USING (model) GROUP BY model"),
    15: Answer(("team", "calls", "tokens", "cost"),  # of gpt-4o alone there are texts, alike at their beginning by team
               "SELECT team, COUNT(*), SUM(prompt), SUM(prompt * r[1]) FROM calls WHERE model = 'gpt-4o' "
               "GROUP BY team HAVING SUM(read) = 0"),
    16: Answer(("model", "surcharge"),
               "SELECT model, SUM(cost - plain_cost) FROM calls GROUP BY model HAVING SUM(cost - plain_cost) > 0"),
    17: Answer(("model", "reasoning_cost", "output_cost"),
               "SELECT model, SUM(reasoning * r[4]), SUM(completion * r[4]) FROM calls WHERE model = 'o3' "
               "GROUP BY model"),
    19: Answer(("weekday", "hour", "cost"),
               "SELECT ISODOW(timestamp), HOUR(timestamp), SUM(cost) FROM calls GROUP BY ALL"),
}  # fmt: skip


def open_month(path: Path) -> Any:
    """Return a connection to DuckDB with the view ``calls`` over the month's logs: one row per call, with its cost."""
    import duckdb

    month = duckdb.connect()
    month.execute("SET TimeZone = 'UTC'")
    month.execute("CREATE TABLE rates (model VARCHAR, long BOOLEAN, r DECIMAL(18, 12)[])")
    for model, pair in RATES.items():
        for is_long, rates in zip((False, True), pair, strict=True):
            listed = ", ".join(f"CAST({rate} / 1000000 AS DECIMAL(18, 12))" for rate in rates)
            month.execute(f"INSERT INTO rates SELECT '{model}', {is_long}, [{listed}]")
    month.execute(f"""
        CREATE TABLE read_rows AS (
            SELECT *, ROW_NUMBER() OVER (PARTITION BY id) AS copy, ROW_NUMBER() OVER (PARTITION BY id, timestamp, model,
                "user", session, usage) AS twin FROM read_json('{path}', format = 'newline_delimited',
                columns = {{id: 'VARCHAR', timestamp: 'TIMESTAMPTZ', model: 'VARCHAR', "user": 'VARCHAR',
                    team: 'VARCHAR', session: 'VARCHAR', status: 'VARCHAR', tags: 'STRUCT(env VARCHAR)',
                    usage: 'STRUCT(prompt_tokens BIGINT, completion_tokens BIGINT, cache_creation_input_tokens BIGINT,
                        prompt_tokens_details STRUCT(cached_tokens BIGINT),
                        completion_tokens_details STRUCT(reasoning_tokens BIGINT))'}})
        );
        CREATE TABLE copies AS (
            SELECT model, COUNT(*) FILTER (id IS NOT NULL AND copy > 1) AS copies FROM read_rows GROUP BY model
        );
        CREATE TABLE calls AS WITH counted AS (
            SELECT * REPLACE (CASE WHEN id IS NULL THEN twin ELSE 1 END AS twin),
                usage.prompt_tokens AS prompt, usage.completion_tokens AS completion,
                usage.prompt_tokens_details.cached_tokens AS read,
                COALESCE(usage.cache_creation_input_tokens, 0) AS written,
                COALESCE(usage.completion_tokens_details.reasoning_tokens, 0) AS reasoning
            FROM read_rows WHERE id IS NULL OR copy = 1
        )
        SELECT counted.*, own.r,
            (prompt - read - written) * own.r[1] + read * own.r[2] + written * own.r[3] + completion * own.r[4] AS cost,
            (prompt - read - written) * p.r[1] + read * p.r[2] + written * p.r[3] + completion * p.r[4] AS plain_cost
        FROM counted JOIN rates own ON own.model = counted.model AND own.long = (prompt > {LONG})
            JOIN rates p ON p.model = counted.model AND NOT p.long
    """)
    return month
