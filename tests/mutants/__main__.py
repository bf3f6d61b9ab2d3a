"""``python -m tests.mutants [ROOM ...]``: change the code in small ways, and count how often no test notices.

A room's score is the share of its mutants that its own tests kill. A mutant that survives is a missing test, or code
that nobody needs; each is named. ``.ci/nightly`` tries a sample of each room, without ``--sample`` all are tried.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Sequence

import click

from tests.command import ROOT
from tests.mutants.mutate import find_mutants, sample_mutants
from tests.mutants.trials import Copies, Room, Trial, open_copies, try_mutants

_PACKAGE = "pipeline/callcost"
ROOMS = {
    "prices": Room(
        (f"{_PACKAGE}/prices",),
        ("tests/stages/test_price*.py", "tests/helpers/test_costs.py", "tests/prices", "tests/laws/test_pricing*.py",
         "tests/golden", "tests/helpers/test_registry.py", "tests/cli/test_prices.py"),
    ),
    "pricing": Room(
        (f"{_PACKAGE}/stages/pricing",),
        ("tests/stages/test_price*.py", "tests/golden", "tests/prices/test_[cp]*.py", "tests/laws/test_*pric*.py",
         "tests/stages/test_charge_lines.py", "tests/stages/test_summary.py", "tests/jobs/test_explain.py",
         "tests/jobs/test_focus_export.py", "tests/laws/test_report_sums.py"),
    ),
    "dedup": Room(
        (f"{_PACKAGE}/stages/dedup",),
        ("tests/stages/test_duplicates.py", "tests/stages/test_settle.py", "tests/stages/test_late_digests.py",
         "tests/jobs/test_joined_reports.py", "tests/golden", "tests/laws/test_equal*.py",
         "tests/laws/test_nested*.py", "tests/laws/test_forked*.py", "tests/jobs/test_repeated*.py",
         "tests/laws/test_report_order.py", "tests/cli/test_inspect*.py", "tests/jobs/test_rotation.py"),
    ),
    "reconcile": Room(
        (f"{_PACKAGE}/stages/reconcile",),
        ("tests/stages/reconcile", "tests/stages/test_compare.py", "tests/cli/test_reconcile*.py",
         "tests/jobs/test_reconcile*.py", "tests/golden/test_golden_runs.py", "tests/laws/test_reconcile*.py"),
    ),
    "columnar": Room(
        (f"{_PACKAGE}/stages/columnar",),
        (
            *("tests/stages/test_late_digests.py", "tests/golden", "tests/laws/test_*columns.py"),
            "tests/stages/test_table*.py",
        ),
    ),
    "framing": Room(
        (f"{_PACKAGE}/tokens/framing",),
        ("tests/tokens/framing", "tests/tokens", "tests/laws/test_counting*.py", "tests/parity"),
    ),
    "report": Room(
        (f"{_PACKAGE}/stages/report",),
        ("tests/stages/test_summary.py", "tests/stages/test_da*.py", "tests/stages/test_write.py",
         "tests/stages/test_delta.py", "tests/golden", "tests/laws/test_report_sums.py",
         "tests/jobs/test_pseudonyms.py", "tests/jobs/test_focus_export.py", "tests/jobs/test_local_costs.py",
         "tests/jobs/test_closed*.py",
         "tests/cli/test_report_command.py", "tests/cli/test_output.py"),
    ),
    "usage": Room(
        (f"{_PACKAGE}/logs/usage",),
        ("tests/logs/test_usage.py", "tests/logs/test_un*.py", "tests/logs/test_b*.py", "tests/logs/test_streams.py",
         "tests/golden", "tests/laws/test_usage_keys.py", "tests/helpers/test_bodies.py", "tests/faults/test_agg*.py"),
    ),
    "state": Room(
        (f"{_PACKAGE}/jobs/state",),
        ("tests/jobs/test_nightly.py", "tests/jobs/test_closed*.py", "tests/jobs/test_rotation.py",
         "tests/jobs/test_status.py", "tests/jobs/test_read_once.py", "tests/jobs/test_upgrade.py",
         "tests/cli/test_close_command.py", "tests/jobs/test_fingerprint.py", "tests/jobs/test_focus_export.py"),
    ),
}  # fmt: skip
_TIMES_SLOWER, _SECONDS_MORE = 3, 20  # than its tests take without it, a mutant may take: then it is killed, too


@click.command()
@click.argument("rooms", nargs=-1, type=click.Choice(list(ROOMS)))
@click.option("--sample", type=click.IntRange(1), metavar="N", help="Mutants of each room.  [default: all]")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, another sample.")
@click.option("--minutes", type=float, help="Share this time among the rooms; what does not fit in is not tried.")
@click.option("--workers", type=click.IntRange(1), help="Mutants tried at a time.  [default: the cores]")
@click.option("--at-least", type=float, default=0, metavar="PCT", help="Exit 1 where a room's score is lower.")
def main(
    rooms: tuple[str, ...], sample: int | None, seed: int, minutes: float | None, workers: int | None, at_least: float
) -> None:
    """Try mutants of ROOMS (all, if none is named) and print the score of each."""
    workers = workers or os.cpu_count() or 1
    names = rooms or tuple(ROOMS)
    weak = []
    end = time.monotonic() + minutes * 60 if minutes else float("inf")
    with open_copies(ROOT, workers) as copies:
        for left, name in zip(range(len(names), 0, -1), names, strict=True):
            now = time.monotonic()
            score = _try_room(copies, name, sample=sample, seed=seed, workers=workers, until=now + (end - now) / left)
            weak += [name] if score < at_least else []
    if weak:
        click.echo(f"below {at_least:g} %: {', '.join(weak)}", err=True)
        sys.exit(1)


def _try_room(copies: Copies, name: str, *, sample: int | None, seed: int, workers: int, until: float) -> float:
    """Try the mutants of one room, print each that survives and the score, and return the score in per cent."""
    room = ROOMS[name]
    alone = copies.measure(room)
    mutants = find_mutants(ROOT, room.modules(ROOT))
    chosen = itertools.islice(sample_mutants(ROOT, mutants, seed), sample)
    trials = []
    for trial in try_mutants(
        copies, room, chosen, workers=workers, limit=alone * _TIMES_SLOWER + _SECONDS_MORE, until=until
    ):
        trials.append(trial)
        if not trial.is_killed:
            click.echo(f"  survived: {trial.mutant}")
    score = score_of(trials)
    counts = {outcome: sum(trial.outcome == outcome for trial in trials) for outcome in ("failed", "broken", "timeout")}
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    click.echo(f"{name}: {score:.1f} % of {len(trials)} killed ({outcomes}); {len(mutants):,} mutants in all")
    return score


def score_of(trials: Sequence[Trial]) -> float:
    """Return how many of some mutants were killed, in per cent; 0 where none was tried."""
    return 100 * sum(trial.is_killed for trial in trials) / len(trials) if trials else 0.0


if __name__ == "__main__":
    main()
