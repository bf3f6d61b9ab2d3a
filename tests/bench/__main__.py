"""``python -m tests.bench``: measure callcost against its peers in one run, print ratios, draw the chart.

Needs the extra: ``pip install -e '.[bench]'`` (and ``fast`` for the rows of the fast engines).
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from tests.bench.cases import CASES, run_cases
from tests.bench.chart import draw_chart
from tests.bench.runs import MIB, SIZES, Bench, Figure, Ratio, Section

CORES = 2
CHART = Path(__file__).with_name("ratios.svg")
_PEERS = ("litellm", "tiktoken", "msgspec", "polars", "pyarrow", "toktok-rs", "gigatoken", "wasmtime")
_LEGEND = """\
Every line was measured in this run, in a fresh process, on the same files and the same cores. callcost: the command as
its user runs it, start-up included, results written ("warm": inside a process that has reported 500 lines before). The
peers: warm, without start-up, writing nothing; LiteLLM without logging or network. CPU: processor time of all
processes. Peak: summed PSS of the process tree, sampled. Of several rounds the best. A slow peer deals with the first
calls of the file only; its speed per call does not depend on how many. Ratios are calls per second, ours : theirs."""


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(CASES)))
@click.option("--size", type=click.Choice(list(SIZES)), default="small", show_default=True, help="How much data.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where data is made and kept.  [default: temporary]")
@click.option("--rounds", type=click.IntRange(1), default=1, show_default=True, help="Runs of each; the best counts.")
@click.option("--chart", type=click.Path(path_type=Path), help="Draw there.  [default: in the checkout, if full]")
def main(names: tuple[str, ...], size: str, folder: Path | None, rounds: int, chart: Path | None) -> None:
    """Measure callcost against its peers: all cases, or those of NAMES."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    with tempfile.TemporaryDirectory(prefix="callcost-bench-") as temporary:
        bench = Bench(folder or Path(temporary), SIZES[size], rounds, lambda what: click.echo(f"... {what}", err=True))
        click.echo(f"{_LEGEND}\n\n{describe_machine()}; size {size}\n")
        ratios = []
        for section in run_cases(bench, names):
            click.echo("\n".join(lines_of(section)) + "\n")
            ratios += section.ratios
    missed = [ratio.title for ratio in ratios if ratio.met is False]
    click.echo(f"{sum(ratio.met is True for ratio in ratios)} targets met, {len(missed)} missed")
    target = chart or (CHART if size == "full" and not names else None)
    charted = [ratio for ratio in ratios if ratio.charted]
    if target and charted:
        caption = ", ".join(describe_machine().split(", ")[:4])
        target.write_text(draw_chart(charted, f"python -m tests.bench --size {size}: {caption}"), encoding="utf-8")


def describe_machine() -> str:
    """Return date, cores, Python and the versions of the peers."""
    versions = []
    for name in _PEERS:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"no {name}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{datetime.now(UTC):%Y-%m-%d}, {cores} cores, Python {platform.python_version()}, {', '.join(versions)}"


def lines_of(section: Section) -> Iterator[str]:
    """Yield the lines of a case: what was measured, then the ratios."""
    yield section.title
    yield f"  {'':58}{'calls':>11}{'wall s':>9}{'CPU s':>9}{'calls/s':>11}{'CPU us/call':>13}{'peak MiB':>10}"
    yield from map(_figure_line, section.figures)
    yield f"  {'':58}{'by wall':>11}{'by CPU':>9}{'target':>12}"
    yield from map(_ratio_line, section.ratios)
    yield from (f"  note: {note}" for note in section.notes)


def _figure_line(figure: Figure) -> str:
    peak = f"{figure.peak / MIB:,.0f}" if figure.peak else "-"
    each = figure.cpu / figure.units * 1e6
    return (
        f"  {figure.title:58}{figure.units:>11,}{figure.wall:>9.2f}{figure.cpu:>9.2f}"
        f"{figure.units / figure.wall:>11,.0f}{each:>13,.2f}{peak:>10}"
    )


def _ratio_line(ratio: Ratio) -> str:
    unit = "" if ratio.unit == "x" else f" {ratio.unit}"
    cpu = "-" if ratio.cpu is None else f"{ratio.cpu:,.2f}"
    asked = "" if ratio.target is None else f"{'>=' if ratio.least else '<='} {ratio.target:g}{unit}"
    word = {None: "", True: "  met", False: "  MISSED"}[ratio.met]
    basis = f" ({ratio.by})" if ratio.target is not None else ""
    return f"  {ratio.title:58}{ratio.wall:>11,.2f}{cpu:>9}{asked:>12}{word}{basis}"


if __name__ == "__main__":
    main()
