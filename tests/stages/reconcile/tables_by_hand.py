"""Files of calls and charges written by hand, for what reconcile reads from them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from callcost.stages.pricing.charge_lines import TERMS
from callcost.stages.tables.facts import UID
from callcost.stages.tables.schemas import MONEY

TIME = pl.Datetime("us", "UTC")
_CHARGE = {
    **dict.fromkeys((*UID, "line", "lines", "prompt"), pl.Int64),
    **dict.fromkeys(
        ("call_id", "provider_response_id", "provider", "price_version", *TERMS, "paid", "model", "requested",
         "stated_rates", "unit", "token_class"),
        pl.String,
    ),
    "started_at": TIME, "at": TIME, "batch": pl.Boolean, "aborted": pl.Boolean,
    **dict.fromkeys(("quantity", "rate", "cost"), MONEY),
}  # fmt: skip
_CALL = {
    **dict.fromkeys((*UID, "total_tokens"), pl.Int64),
    **dict.fromkeys(("call_id", "provider_response_id", "provider", "model", "source_format"), pl.String),
    "started_at": TIME, "ended_at": TIME, **dict.fromkeys(("total_cost", "logged_cost"), MONEY),
}  # fmt: skip


def at(text: str) -> datetime:
    """A moment of 3 November 2025, or of the day that is named: "05 23:59"."""
    day, _, time = text.rpartition(" ")
    return datetime.fromisoformat(f"2025-11-{day or '03'}T{time}").replace(tzinfo=UTC)


def day(number: int) -> int:
    """The beginning of a day of November 2025, in microseconds since 1970."""
    return int(datetime(2025, 11, number, tzinfo=UTC).timestamp()) * 1_000_000


def make_charge(record: int, **more: Any) -> dict[str, Any]:
    """10 input tokens of gpt-4.1 for $0.00002, at noon."""
    row = {
        "piece": 0, "record": record, "line": 0, "lines": 1, "call_id": f"c{record}", "provider": "openai",
        "paid": "openai", "model": "gpt-4.1", "unit": "text_input", "token_class": "input", "at": at("12:00"),
        "quantity": Decimal(10), "cost": Decimal("0.00002"), "batch": False, "prompt": 10, "aborted": False,
        **more,
    }  # fmt: skip
    return {"started_at": row["at"], **row}


def make_call(record: int, **more: Any) -> dict[str, Any]:
    """A call to gpt-4.1 at noon, for $2."""
    return {
        "piece": 0, "record": record, "call_id": f"c{record}", "provider_response_id": f"r{record}",
        "provider": "openai", "model": "gpt-4.1", "source_format": "pair", "started_at": at("12:00"),
        "total_tokens": 10, "total_cost": Decimal(2), **more,
    }  # fmt: skip


def write_charges(folder: Path, *rows: dict[str, Any]) -> list[Path]:
    return _write(folder / "charges.parquet", rows, _CHARGE)


def write_calls(folder: Path, *rows: dict[str, Any]) -> list[Path]:
    return _write(folder / "calls.parquet", rows, _CALL)


def _write(path: Path, rows: tuple[dict[str, Any], ...], schema: dict[str, Any]) -> list[Path]:
    pl.DataFrame(list(rows), schema=schema, orient="row").write_parquet(path)
    return [path]
