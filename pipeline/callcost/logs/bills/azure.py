"""Azure: the actual or amortised cost export (EA and MCA), of which only the AI services are compared.

Dates are MM/DD/YYYY or ISO; the unit of a quantity stands in UnitOfMeasure or in the meter's name; the meter's name is
the only place that says the model and the class: ``gpt 4o 1120 cached Inp glbl Tokens``. Where it is only a version
(``V4 Pro Inp glbl Tokens``), its subcategory says whose: ``Azure Deepseek Models``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from callcost.logs.bills.labels import add_label, read_label, with_family
from callcost.logs.bills.lines import BillDialect, BillLine, Kind, line_of, read_amount, scale_of

_SERVICES = re.compile(r"cognitive services|foundry|azure openai|azure ai", re.IGNORECASE)
_AMOUNTS = ("cost", "costinbillingcurrency", "pretaxcost")
_HEADINGS = ("metersubcategory", "productname", "product")
_COLUMNS = {
    "start_at": ("date", "usagedatetime"),
    "currency": ("billingcurrency", "billingcurrencycode", "currency"),
    "line_item": "metername",
}
_KINDS = {"usage": Kind.USAGE, "refund": Kind.CREDIT, "roundingadjustment": Kind.CREDIT}


def read_line(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read one row of the export."""
    amount = next((name for name in _AMOUNTS if name in record), _AMOUNTS[0])
    columns = {**_COLUMNS, "amount": amount}
    line = line_of(record, columns, us_dates=True, provider="azure", kind=_kind(record))
    if line.kind == Kind.USAGE and line.amount is not None and line.amount < 0:
        line.kind = Kind.CREDIT
    if line.kind == Kind.USAGE:
        _read_meter(line, record, line.line_item or "")
    yield line


def _kind(record: Mapping[str, Any]) -> str:
    if not _SERVICES.search(str(record.get("metercategory") or "")):
        return Kind.OTHER
    return _KINDS.get(str(record.get("chargetype") or "usage").lower(), Kind.FEE)


def _read_meter(line: BillLine, record: Mapping[str, Any], meter: str) -> None:
    label = read_label(meter)
    if not add_label(line, label):
        return
    line.region = label.region
    if line.model:
        line.model = with_family(line.model, *(str(record.get(name) or "") for name in _HEADINGS))
    quantity = read_amount(record.get("quantity") or record.get("usagequantity"), "quantity")
    if quantity is not None:
        line.quantity = quantity * scale_of(f"{record.get('unitofmeasure') or ''} {meter}")


DIALECTS = (
    BillDialect(
        name="azure_cost",
        rank=20,
        keys=(
            "metername metercategory date cost", "metername metercategory date costinbillingcurrency",
            "metername metercategory usagedatetime pretaxcost",
        ),
        read=read_line,
    ),
)  # fmt: skip
