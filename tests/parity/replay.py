"""LiteLLM's recorded cases, asked of our helpers and of the batch reader."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import polars as pl

from pipeline.errors import CallcostError
from pipeline.helpers.books import microseconds_of
from pipeline.helpers.costs import completion_cost, cost_per_token
from pipeline.helpers.responses import first_tier
from pipeline.logs.usage import read_usage
from pipeline.prices.book import Book, open_book
from pipeline.settings import PriceOptions
from pipeline.stages.facts import facts_of
from pipeline.stages.price import price_facts
from pipeline.tables import Call
from tests.parity.notes import Answer, Case

MAP = "litellm-1.106.4"  # the same map as 1.106.2's, which answered


def ask(case: Case) -> Answer:
    """Return what the helper of LiteLLM's name answers to a case."""
    args: dict[str, Any] = dict(case["args"])
    more: dict[str, Any] = {"at": datetime.fromisoformat(case["ts"]), "prices": MAP}
    try:
        if "response" in args:
            return {"total": completion_cost(args.pop("response"), **args, **more)}
        if "usage" in args:
            usage = args.pop("usage")
            counts = {name: usage.get(name, 0) for name in ("prompt_tokens", "completion_tokens")}
            args |= {"usage_object": usage, **counts}
        prompt, completion = cost_per_token(**args, **more)
    except CallcostError as error:
        return {"error": type(error).__name__}
    return {"prompt": prompt, "completion": completion}


def agrees(case: Case, ours: Answer) -> bool:
    """Say whether an answer is LiteLLM's: an error where it raises, else equal to 1e-9."""
    theirs = case["expect"]
    if "error" in theirs or "error" in ours:
        return "error" in theirs and "error" in ours
    return all(abs(float(ours[name]) - value) <= 1e-9 * abs(value) for name, value in theirs.items())


def call_of(case: Case) -> Call:
    """Return a case as a log would have it."""
    args, response = case["args"], case["args"].get("response", {})
    usage = args.get("usage") or response.get("usage") or args
    requested = (args.get("optional_params") or {}).get("service_tier")
    tier = first_tier(args.get("service_tier"), response.get("service_tier"), usage.get("service_tier"), requested)
    return Call(
        source_format="openai_batch" if case["form"] == "batch" else "plain",
        family="parity",
        provider=args.get("custom_llm_provider"),
        model=response.get("model") or args["model"],
        started_at=microseconds_of(datetime.fromisoformat(case["ts"])),
        service_tier=tier,
        region=args.get("vertex_location"),
        data_residency=args.get("data_residency"),
        inference_geo=usage.get("inference_geo"),
        speed=usage.get("speed"),
        usage=read_usage(dict(usage)).usage,
        usage_source="reported",
    )


@functools.cache
def book() -> Book:
    """The map that the cases were recorded with."""
    return open_book(PriceOptions(prices=MAP))


def ask_batch(cases: Sequence[Case]) -> pl.DataFrame:
    """Return the cases as the batch reader prices them."""
    return price_facts(facts_of([call_of(case) for case in cases], 0), book())
