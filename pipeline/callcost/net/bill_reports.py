"""Which reports providers give of a bill, and how each is asked for and checked: a table with a row per report.

Sources: https://platform.openai.com/docs/api-reference/usage (admin key; costs in dollars, times in epoch seconds),
https://platform.claude.com/docs/en/api/admin/cost_report and /usage_report (admin key; cents as text, times in ISO
8601), https://openrouter.ai/docs/api/api-reference/analytics (management key; one day a request, the last 30 days).
What the results mean is for logs/bills/, which reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import NamedTuple
from urllib.parse import urlencode

Query = list[tuple[str, str]]


class Report(NamedTuple):
    """One report of a provider.

    Attributes:
        name: in the names of files.
        path: below the provider's address.
        dialect: in which logs/bills/ reads its results.
        groups: what it is grouped by; a field that it is not grouped by is null.
        most: buckets of an answer at the most.
        amount: type of ``amount`` in its results, which tells cents from dollars; None: it has none.
    """

    name: str
    path: str
    dialect: str
    groups: tuple[str, ...] = ()
    most: int = 31
    amount: type | None = None


class Provider(NamedTuple):
    """A provider whose bill can be fetched.

    Attributes:
        address: of its reports.
        variable: of the environment, that holds the key.
        headers: of the key.
        interval: names of the first moment and the end of a query, and how a day is written in it.
        group_by: name of a group in a query.
        bucket: names of a bucket's first moment and end.
        reports: what it gives.
        history: days before today that it keeps; None: all.
    """

    address: str
    variable: str
    headers: Callable[[str], Mapping[str, str]]
    interval: tuple[str, str, Callable[[date], str]]
    group_by: str
    bucket: tuple[str, str]
    reports: tuple[Report, ...]
    history: int | None = None


def _epoch(day: date) -> str:
    return str(int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()))


def _openai_usage(name: str, *groups: str) -> Report:
    return Report(f"usage-{name.replace('_', '-')}", f"/usage/{name}", "openai_usage", ("project_id", *groups))


_OF_USERS = ("user_id", "api_key_id")
_OF_MODELS = (*_OF_USERS, "model")

PROVIDERS = {
    "openai": Provider(
        address="https://api.openai.com/v1/organization",
        variable="OPENAI_ADMIN_KEY",
        headers=lambda key: {"Authorization": f"Bearer {key}"},
        interval=("start_time", "end_time", _epoch),
        group_by="group_by",
        bucket=("start_time", "end_time"),
        reports=(
            Report("costs", "/costs", "openai_costs", ("project_id", "line_item", "api_key_id"), most=180, amount=dict),
            _openai_usage("completions", *_OF_MODELS, "batch", "service_tier"),
            *(_openai_usage(name, *_OF_MODELS) for name in ("embeddings", "moderations")),
            _openai_usage("images", *_OF_MODELS, "size", "source"),
            *(_openai_usage(name, *_OF_MODELS) for name in ("audio_speeches", "audio_transcriptions")),
            *(_openai_usage(name) for name in ("vector_stores", "code_interpreter_sessions")),
            _openai_usage("file_search_calls", *_OF_USERS, "vector_store_id"),
            _openai_usage("web_search_calls", *_OF_MODELS, "context_level"),
        ),
    ),
    "anthropic": Provider(
        address="https://api.anthropic.com/v1/organizations",
        variable="ANTHROPIC_ADMIN_API_KEY",
        headers=lambda key: {"x-api-key": key, "anthropic-version": "2023-06-01"},
        interval=("starting_at", "ending_at", lambda day: f"{day.isoformat()}T00:00:00Z"),
        group_by="group_by[]",
        bucket=("starting_at", "ending_at"),
        reports=(
            Report("cost", "/cost_report", "anthropic_cost", ("workspace_id", "description"), amount=str),
            Report("usage-messages", "/usage_report/messages", "anthropic_usage",
                   ("api_key_id", "workspace_id", "model", "service_tier", "context_window", "inference_geo")),
        ),
    ),
    "openrouter": Provider(
        address="https://openrouter.ai/api/v1",
        variable="OPENROUTER_MANAGEMENT_KEY",
        headers=lambda key: {"Authorization": f"Bearer {key}"},
        interval=("date", "", date.isoformat),
        group_by="group_by",
        bucket=("date", "end"),
        reports=(Report("activity", "/activity", "openrouter_activity", most=1),),
        history=30,
    ),
}  # fmt: skip


def report_url(provider: Provider, report: Report, first: date, until: date, page: str | None, address: str) -> str:
    """Return the address of one answer of a report.

    Args:
        provider: who gives it.
        report: which.
        first: first day that is asked for.
        until: day after the last.
        page: where the answer before it ended; None: it is the first.
        address: of the provider's reports.
    """
    start, end, written = provider.interval
    asked: Query = [(start, written(first))]
    if end:  # one that gives days gives them in pages
        asked += [(end, written(until)), ("bucket_width", "1d"), ("limit", str(report.most))]
        asked += [(provider.group_by, group) for group in report.groups]
    asked += [("page", page)] if page is not None else []
    return f"{address}{report.path}?{urlencode(asked)}"
