"""AWS Cost Explorer: totals by service or by usage type, as its console's CSV and as its API writes them.

It is no bill that can be explained to the call: only one group is stated, mostly without quantities. What it states is
compared as a total; the Cost and Usage Report says the rest.
https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_GetCostAndUsage.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from callcost.logs.bills.aws import add_usage_type, edition_of, is_bedrock, region_of
from callcost.logs.bills.lines import BillDialect, BillLine, Kind, currency_of, read_amount, read_moment, text_of
from callcost.logs.values.times import read_time

_NOTE = "Cost Explorer states totals only: for counts and prices give CUR 2.0, of AWS Data Exports"
_TOTAL = re.compile(r"total costs? ?\((?P<currency>[^)]*)\)", re.IGNORECASE)
_UNIT = re.compile(r"\((?:[^()]*)\)$")
_SERVES_MODELS = re.compile(r"token|guardrail|model ?units", re.IGNORECASE)
LONG_KEYS = ("explorer_group", "explorer_name", "date", "cost", "currency")  # of a record of the console's table
_METRICS = ("NetUnblendedCost", "UnblendedCost", "NetAmortizedCost", "AmortizedCost", "BlendedCost")


def long_rows(header: Sequence[str], cells: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield a record per group of one row of the console's table, which has a column per group.

    Args:
        header: names of the columns as they are written: "Service", "Bedrock($)", "Total costs($)".
        cells: of one row; one that begins with no date is a sum of the others.
    """
    total = next((found for name in header if (found := _TOTAL.fullmatch(name.strip()))), None)
    if total is not None and read_time(cells[0]) is not None:
        for name, cell in zip(header[1:], cells[1:], strict=True):
            if cell and not _TOTAL.fullmatch(name.strip()):
                yield {
                    "explorer_group": header[0].strip().lower(), "explorer_name": _UNIT.sub("", name.strip()),
                    "date": cells[0], "cost": cell, "currency": total["currency"].replace("$", "USD"),
                }  # fmt: skip


def is_wide(header: Sequence[str]) -> bool:
    """Tell whether these are the columns of the console's table."""
    return len(header) > 1 and any(_TOTAL.fullmatch(name.strip()) for name in header)


def read_group(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read what the console's table states of a group on a day."""
    line = BillLine(
        provider="bedrock", start_at=read_moment(record["date"], "date"), amount=read_amount(record["cost"], "cost"),
        currency=currency_of(record["currency"]),
    )  # fmt: skip
    by_usage = record["explorer_group"] != "service"
    _add_names(line, record["explorer_name"] if by_usage else "", "" if by_usage else record["explorer_name"])
    yield line


def read_result(record: Mapping[str, Any]) -> Iterator[BillLine]:
    """Read what the API states of a group in a period."""
    period, metrics = record.get("timeperiod"), record.get("metrics")
    period = period if isinstance(period, Mapping) else {}
    metrics = metrics if isinstance(metrics, Mapping) else {}
    cost: Mapping[str, Any] = next((metrics[name] for name in _METRICS if isinstance(metrics.get(name), Mapping)), {})
    line = BillLine(
        provider="bedrock", start_at=read_moment(period.get("Start"), "start"),
        end_at=read_moment(period.get("End"), "end"), amount=read_amount(cost.get("Amount")),
        currency=currency_of(cost.get("Unit")),
    )  # fmt: skip
    keys = record.get("keys")
    names = [name for key in (keys if isinstance(keys, list) else []) if (name := text_of(key))]
    usage_type = next((name for name in names if region_of(name) or _SERVES_MODELS.search(name)), "")
    service = next((name for name in names if name != usage_type), "")
    used = metrics.get("UsageQuantity")
    used = used if isinstance(used, Mapping) and used.get("Unit") not in {None, "N/A"} else {}
    _add_names(line, usage_type, service, used)
    yield line


def _add_names(line: BillLine, usage_type: str, service: str, used: Mapping[str, Any] | None = None) -> None:
    line.line_item = usage_type or service
    if not is_bedrock(service) and (service or not _SERVES_MODELS.search(usage_type)):
        line.kind = Kind.OTHER
    elif usage_type:
        line.region = region_of(usage_type)
        used = used or {}
        quantity = read_amount(used.get("Amount"), "usagequantity")
        add_usage_type(line, usage_type, service, quantity, str(used.get("Unit") or ""))
    else:
        line.model = edition_of(service)


DIALECTS = (
    BillDialect(
        name="aws_cost_explorer",
        rank=30,
        keys=(" ".join(LONG_KEYS),),
        read=read_group,
        measures=frozenset({"cost"}),
        note=_NOTE,
    ),
    BillDialect(
        name="aws_cost_explorer_api",
        rank=30,
        keys=("timeperiod keys metrics",),
        read=read_result,
        measures=frozenset({"metrics", "estimated"}),
        note=_NOTE,
    ),
)
