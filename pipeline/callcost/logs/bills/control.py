"""The tiny CSV of one's own for an invoice that exists on paper only: period, provider, amount, currency.

A period is a month (2026-11), a day, or two of them with a slash between, both inclusive. It is compared as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from callcost.logs.bills.lines import BadLine, BillDialect, BillLine, Kind, currency_of, read_amount, read_month
from callcost.logs.bills.names import paid_provider


def read_total(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one invoice."""
    start, end = read_month(str(record.get("period") or ""), "period")
    amount = read_amount(record.get("amount"))
    if amount is None:
        raise BadLine("bad_amount", "amount")
    yield BillLine(
        provider=paid_provider(str(record.get("provider") or "")),
        kind=Kind.CONTROL,
        start_at=start,
        end_at=end,
        amount=amount,
        currency=currency_of(record.get("currency")),
    )


DIALECTS = (
    BillDialect(
        name="control_total",
        rank=90,
        keys=("period provider amount currency",),
        read=read_total,
    ),
)
