"""What LLM calls cost: read logs, count tokens, price them with the rates of that day, report.

The public door. Names load on first use, so that importing the package does no work.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Switches of the counting helpers, read at call time (the names are LiteLLM's).
disable_token_counter: bool = False
async_tokenizer_threshold_bytes: int | None = None
tokenizer_threadpool_max_workers: int = 4
tokenizer_timeout_seconds: float = 5.0

_HOME = {
    "CallcostError": "errors",
    "ConfigError": "errors",
    "LogError": "errors",
    "PriceError": "errors",
    "ReconcileOptions": "settings",
    "ReportError": "errors",
    "ReportOptions": "settings",
    "RunError": "errors",
    "TokenizerError": "errors",
    "UnknownModelError": "errors",
    "WorkOptions": "settings",
    "async_token_counter": "helpers.counting",
    "backfill_usage": "jobs.backfill",
    "completion_cost": "helpers.costs",
    "cost_per_token": "helpers.costs",
    "create_pretrained_tokenizer": "helpers.text",
    "create_tokenizer": "helpers.text",
    "decode": "helpers.text",
    "encode": "helpers.text",
    "get_max_tokens": "helpers.registry",
    "get_model_info": "helpers.registry",
    "model_cost": "helpers.registry",
    "reconcile_costs": "jobs.reconcile",
    "register_model": "helpers.registry",
    "report_spend": "jobs.report",
    "token_counter": "helpers.counting",
}

__all__ = sorted([  # noqa: PLE0605 - the lazy names are listed once, above
    *_HOME, "__version__", "async_tokenizer_threshold_bytes", "disable_token_counter",
    "tokenizer_threadpool_max_workers", "tokenizer_timeout_seconds",
])  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load a public name from its room on first use."""
    if name not in _HOME:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
