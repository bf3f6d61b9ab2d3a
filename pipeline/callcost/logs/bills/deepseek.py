"""DeepSeek: the two files of its platform's export, counts ("amount") and money ("cost"), by UTC day and model.

The counts stand one kind a row beside the price of a million in the account's currency, which that file does not
state; the money is a sum per day, model and wallet.
https://platform.deepseek.com/usage
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from callcost.logs.bills.labels import CACHE_READ, INPUT, OUTPUT
from callcost.logs.bills.lines import BillDialect, BillLine, Kind, line_of, read_amount

_CLASSES = {"input_cache_hit_tokens": CACHE_READ, "input_cache_miss_tokens": INPUT, "output_tokens": OUTPUT}
_COLUMNS = {"start_at": "utc_date", "model": "model"}


def read_counts(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one row of amount.csv: tokens of one class, or a number of requests."""
    token_class = _CLASSES.get(str(record.get("type") or "").lower())
    if token_class:
        line = line_of(record, _COLUMNS, provider="deepseek", token_class=token_class)
        line.quantity = read_amount(record.get("amount"))
        yield line


def read_cost(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one row of cost.csv: what a model cost on a day."""
    line = line_of(record, {**_COLUMNS, "amount": "cost", "currency": "currency"}, provider="deepseek")
    if line.amount is not None and line.amount < 0:
        line.kind = Kind.CREDIT
    yield line


DIALECTS = (
    BillDialect(
        name="deepseek_cost",
        rank=12,
        keys=("utc_date model wallet_type cost currency",),
        read=read_cost,
        measures=frozenset({"cost"}),
    ),
    BillDialect(
        name="deepseek_amount",
        rank=14,
        keys=("utc_date model type price amount",),
        read=read_counts,
        measures=frozenset({"amount"}),
        note="DeepSeek's amount.csv states counts: give its cost.csv, too, for the money",
    ),
)
