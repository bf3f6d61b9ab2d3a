"""``python -m tests.mutants [ROOM ...]``: change the code in small ways, and count how often no test notices.

A room's score is the share of its mutants that its own tests kill. A mutant that survives is a missing test, or code
that nobody needs; each is named. ``.ci/nightly`` tries a sample of each room, without ``--sample`` all are tried.
First the tests run once without any change, to see which lines each of them runs: see reached.py.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from tests.command import ROOT
from tests.mutants.mutate import find_mutants, sample_mutants
from tests.mutants.reached import FileRecord
from tests.mutants.records import load_records
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
            *("tests/stages/test_block_reader.py", "tests/stages/test_line_blocks.py", "tests/stages/test_table_*.py"),
            *("tests/stages/test_late_digests.py", "tests/golden", "tests/laws/test_*columns.py"),
        ),
    ),
    "framing": Room(
        (f"{_PACKAGE}/tokens/framing",),
        ("tests/tokens/framing", "tests/tokens", "tests/laws/test_counting*.py", "tests/parity"),
    ),
    "report": Room(
        (f"{_PACKAGE}/stages/report",),
        ("tests/stages/test_summary.py", "tests/stages/test_da*.py", "tests/stages/test_write.py",
         "tests/stages/test_delta.py", "tests/stages/test_workbook.py", "tests/stages/test_tables_for_people.py",
         "tests/stages/test_re*.py", "tests/stages/test_focus_rows.py", "tests/golden",
         "tests/laws/test_report_sums.py",
         "tests/jobs/test_pseudonyms.py", "tests/jobs/test_focus_export.py", "tests/jobs/test_local_costs.py",
         "tests/jobs/test_closed*.py", "tests/jobs/test_explain.py",
         "tests/cli/test_report_command.py", "tests/cli/test_output.py"),
    ),
    "usage": Room(
        (f"{_PACKAGE}/logs/usage",),
        ("tests/logs/test_usage.py", "tests/logs/test_un*.py", "tests/logs/test_b*.py", "tests/logs/test_streams.py",
         "tests/golden", "tests/laws/test_usage_keys.py", "tests/helpers/test_bodies.py", "tests/faults/test_agg*.py"),
    ),
    "state": Room(
        (f"{_PACKAGE}/jobs/state",),
        ("tests/jobs/test_run_records.py", "tests/jobs/test_nights_*.py", "tests/jobs/test_nightly.py",
         "tests/jobs/test_closed*.py",
         "tests/jobs/test_rotation.py", "tests/jobs/test_status.py", "tests/jobs/test_read_once.py",
         "tests/jobs/test_upgrade.py", "tests/jobs/test_unchanged_*.py", "tests/jobs/test_state_columns.py",
         "tests/cli/test_close_command.py"),
    ),
}  # fmt: skip


@click.command()
@click.argument("rooms", nargs=-1, type=click.Choice(list(ROOMS)))
@click.option("--sample", type=click.IntRange(1), metavar="N", help="Mutants of each room.  [default: all]")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, another sample.")
@click.option("--minutes", type=float, help="Share this time among the rooms; what does not fit in is not tried.")
@click.option("--workers", type=click.IntRange(1), help="Mutants tried at a time.  [default: the cores]")
@click.option("--records", type=click.Path(path_type=Path), help="Folder that keeps which test runs which lines.")
@click.option("--at-least", type=float, default=0, metavar="PCT", help="Exit 1 where a room's score is lower.")
def main(
    rooms: tuple[str, ...],
    sample: int | None,
    seed: int,
    minutes: float | None,
    workers: int | None,
    records: Path | None,
    at_least: float,
) -> None:
    """Try mutants of ROOMS (all, if none is named) and print the score of each."""
    workers = workers or os.cpu_count() or 1
    names = rooms or tuple(ROOMS)
    weak = []
    end = time.monotonic() + minutes * 60 if minutes else float("inf")
    files = {name: ROOMS[name].test_files(ROOT) for name in names}
    with open_copies(ROOT, workers) as copies:
        begun = time.monotonic()
        record_of = load_records(copies, itertools.chain.from_iterable(files.values()), workers, records)
        click.echo(f"{len(record_of)} files of tests say which lines they run ({time.monotonic() - begun:.0f} s)")
        for left, name in zip(range(len(names), 0, -1), names, strict=True):
            now = time.monotonic()
            of_room = {file: record_of[file] for file in files[name]}
            until = now + (end - now) / left
            trials = _try_room(copies, name, of_room, sample=sample, seed=seed, workers=workers, until=until)
            weak += [name] if score_of(trials) < at_least else []
    if weak:
        click.echo(f"below {at_least:g} %: {', '.join(weak)}", err=True)
        sys.exit(1)


def _try_room(
    copies: Copies,
    name: str,
    records: Mapping[str, FileRecord],
    *,
    sample: int | None,
    seed: int,
    workers: int,
    until: float,
) -> list[Trial]:
    """Try the mutants of one room, and print each that survives and the score in per cent."""
    mutants = find_mutants(ROOT, ROOMS[name].modules(ROOT))
    chosen = itertools.islice(sample_mutants(ROOT, mutants, seed), sample)
    trials = []
    for trial in try_mutants(copies, records, chosen, workers=workers, until=until):
        trials.append(trial)
        if not trial.is_killed:
            click.echo(f"  {trial.outcome}: {trial.mutant}")
    counts = Counter(trial.outcome for trial in trials if trial.is_killed)
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    click.echo(
        f"{name}: {score_of(trials):.1f} % of {len(trials)} killed ({outcomes}); {len(mutants):,} mutants in all,"
        f" seed {seed}"
    )
    return trials


def score_of(trials: Sequence[Trial]) -> float:
    """Return how many of some mutants were killed, in per cent; 0 where none was tried."""
    return 100 * sum(trial.is_killed for trial in trials) / len(trials) if trials else 0.0


if __name__ == "__main__":
    main()
