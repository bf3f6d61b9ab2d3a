"""What LLM calls cost: read logs, count tokens, price them with the rates of that day, report.

The public door. Names load on first use, so that importing the package does no work.

In: logs, messages, names of models. Out: reports, token counts, costs.
Open jobs/report.py first.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if __name__ != "callcost":  # found in a checkout as a part of the folder pipeline/: everything would be there twice
    raise ImportError(f"the package is imported as callcost, not as {__name__}", name=__name__)

if TYPE_CHECKING:  # for type checkers: the names of _HOME, which load on first use
    from callcost.errors import (
        CallcostError,
        ConfigError,
        LogError,
        PriceError,
        ReportError,
        RunError,
        TokenizerError,
        UnknownModelError,
    )
    from callcost.helpers.costs import completion_cost, cost_per_token
    from callcost.helpers.counting import async_token_counter, token_counter
    from callcost.helpers.registry import get_max_tokens, get_model_info, model_cost, register_model
    from callcost.helpers.text import create_pretrained_tokenizer, create_tokenizer, decode, encode
    from callcost.jobs.analysis.compare import compare, compare_periods, compare_spend
    from callcost.jobs.analysis.price_calls import price_calls
    from callcost.jobs.analysis.query import query_calls
    from callcost.jobs.analysis.what_if import suggest_savings, what_if
    from callcost.jobs.backfill import backfill_usage
    from callcost.jobs.reconcile import reconcile_costs
    from callcost.jobs.report import SpendReport, report_spend
    from callcost.settings import Budget, PriceOptions, ReconcileOptions, ReportOptions, WorkOptions

__version__ = "0.2.0"

# Switches of the counting helpers, read at call time (the names are LiteLLM's).
disable_token_counter: bool = False
async_tokenizer_threshold_bytes: int | None = None
tokenizer_threadpool_max_workers: int = 4
tokenizer_timeout_seconds: float = 5.0

_HOME = {
    "Budget": "settings",
    "CallcostError": "errors",
    "ConfigError": "errors",
    "LogError": "errors",
    "PriceError": "errors",
    "PriceOptions": "settings",
    "ReconcileOptions": "settings",
    "ReportError": "errors",
    "ReportOptions": "settings",
    "RunError": "errors",
    "SpendReport": "jobs.report",
    "TokenizerError": "errors",
    "UnknownModelError": "errors",
    "WorkOptions": "settings",
    "async_token_counter": "helpers.counting",
    "backfill_usage": "jobs.backfill",
    "compare": "jobs.analysis.compare",
    "compare_periods": "jobs.analysis.compare",
    "compare_spend": "jobs.analysis.compare",
    "completion_cost": "helpers.costs",
    "cost_per_token": "helpers.costs",
    "create_pretrained_tokenizer": "helpers.text",
    "create_tokenizer": "helpers.text",
    "decode": "helpers.text",
    "encode": "helpers.text",
    "get_max_tokens": "helpers.registry",
    "get_model_info": "helpers.registry",
    "model_cost": "helpers.registry",
    "price_calls": "jobs.analysis.price_calls",
    "query_calls": "jobs.analysis.query",
    "reconcile_costs": "jobs.reconcile",
    "register_model": "helpers.registry",
    "report_spend": "jobs.report",
    "suggest_savings": "jobs.analysis.what_if",
    "token_counter": "helpers.counting",
    "what_if": "jobs.analysis.what_if",
}

__all__ = [
    "Budget",
    "CallcostError",
    "ConfigError",
    "LogError",
    "PriceError",
    "PriceOptions",
    "ReconcileOptions",
    "ReportError",
    "ReportOptions",
    "RunError",
    "SpendReport",
    "TokenizerError",
    "UnknownModelError",
    "WorkOptions",
    "__version__",
    "async_token_counter",
    "async_tokenizer_threshold_bytes",
    "backfill_usage",
    "compare",
    "compare_periods",
    "compare_spend",
    "completion_cost",
    "cost_per_token",
    "create_pretrained_tokenizer",
    "create_tokenizer",
    "decode",
    "disable_token_counter",
    "encode",
    "get_max_tokens",
    "get_model_info",
    "model_cost",
    "price_calls",
    "query_calls",
    "reconcile_costs",
    "register_model",
    "report_spend",
    "suggest_savings",
    "token_counter",
    "tokenizer_threadpool_max_workers",
    "tokenizer_timeout_seconds",
    "what_if",
]


if not TYPE_CHECKING:  # a type checker would take any name for one of the door

    def __getattr__(name: str) -> Any:
        """Load a public name from its room on first use."""
        if name not in _HOME:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
