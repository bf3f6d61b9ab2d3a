"""The calls of a state as a source: all that was ever read into it, closed days as they were closed."""

from __future__ import annotations

import dataclasses

import polars as pl

from callcost.errors import LogError
from callcost.jobs.engine.focus_export import asks_for_focus
from callcost.jobs.engine.held_calls import STATE, HeldCalls
from callcost.jobs.engine.manifest import RunClock, manifest_of
from callcost.jobs.engine.map_reduce import merged_spend
from callcost.jobs.state.carry_over import carry_over
from callcost.jobs.state.closed_days import closed_days, split_with_closed
from callcost.jobs.state.state_folder import open_state
from callcost.jobs.state.unchanged.settle_night import settle_entries
from callcost.logs.io.temporary import temporary_folder
from callcost.settings import ReportOptions, StateOptions
from callcost.stages.pricing.price_facts import gather_calls
from callcost.stages.tables.schemas import Calls


def open_held_state(place: str, options: ReportOptions) -> HeldCalls:
    """Settle and price the calls of a state; what is published and remembered stays as it is.

    Args:
        place: the state's folder.
        options: ``prices`` and ``timezone`` matter.

    Raises:
        LogError: nothing was read into it.
        RunError: another run has the folder, or it cannot be read.
    """
    plain = dataclasses.replace(options, since=None, until=None, where=(), by=("model",), sort=None, formats=("csv",))
    plain = dataclasses.replace(plain, pseudonyms=None)  # they are put in when what is asked for is summed
    clock = RunClock()
    with open_state(StateOptions(folder=place), clock) as ledger, temporary_folder(ledger.folder.path) as work:
        carry_over(ledger, work, lambda _word, _name: None)
        ledger.check(work)
        if not ledger.entries or ledger.lost:
            hint = "Run callcost report LOGS --state DIR first"
            raise LogError(f"{place} is a state that holds no calls, or has lost some", hint=hint)
        settled = settle_entries(ledger, plain, work)
        manifest = manifest_of(plain, settled, merged_spend(settled, plain), clock)
        closed = closed_days(ledger)
        is_billed = bool(closed) and asks_for_focus(options)
        tables, frozen, now = ([pl.DataFrame(schema=Calls.types)] for _ in range(3))
        for day, parts in split_with_closed(settled.tables("calls"), options.timezone, closed):
            if day is not None and day in closed:
                frozen.append(gather_calls(closed[day].facts()).select(Calls.names))
                now += [part.select(Calls.names) for part in parts] if is_billed else []
            else:
                tables += [part.select(Calls.names) for part in parts]
        rejects = pl.read_parquet(settled.rejects().parquet())
    found = pl.concat([*tables, *frozen])
    manifest["totals"]["calls"] = found.height
    restated = (pl.concat(frozen), pl.concat(now)) if is_billed else None
    return HeldCalls(place=place, kind=STATE, manifest=manifest, calls=found, rejects=rejects, restated=restated)
