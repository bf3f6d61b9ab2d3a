"""What is measured, and what is set against what: the cases, their ratios, and what each ratio has to be.

The targets are those of issues 3, 4, 5, 7, 16, 23 and 24; they are printed beside what was found and gate nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.bench.dialect_logs import LOGS
from tests.bench.floors import COLUMNS
from tests.bench.runs import MIB, ROOT, SCANNER, Bench, Figure, Ratio, Section, against, many


def usage_missing(bench: Bench) -> Section:
    """Usage missing everywhere: every text is counted."""
    section = Section(title="Usage missing everywhere, chats of ten messages, 6.9 KB a line")
    log, calls, few = bench.chats(usage=False), bench.size.chats, bench.size.counted_by_peers
    one, two = (section.add(bench.report(log, calls, workers=workers)) for workers in (1, 2))
    quick = section.add(bench.report(log, calls, workers=2, fast=True)) if bench.engines() else None
    if quick is None:
        section.notes.append("[fast]: left out, it is not installed")
    loop = [
        section.add(bench.work("litellm counts", f"LiteLLM loop, {many(n, 'process')}", log, few, n)) for n in (1, 2)
    ]
    plain = section.add(bench.work("tiktoken counts", "json + tiktoken, 2 processes", log, few, 2))
    section.ratios += [
        against("callcost, 2 workers : LiteLLM loop", two, loop[0], 8, charted="usage missing, 2 workers"),
        against(
            "callcost, 2 workers : LiteLLM loop on both cores",
            two,
            loop[1],
            3.5,
            charted="... LiteLLM on both cores, too",
        ),
        against("callcost, 1 worker : LiteLLM loop", one, loop[0]),
        against("callcost, 2 workers : json + tiktoken on both cores", two, plain),
        against("callcost: 2 workers : 1 worker", two, one, 1.7),
    ]
    if quick is not None:
        section.ratios += [
            against(
                "callcost [fast], 2 workers : LiteLLM loop",
                quick,
                loop[0],
                20,
                charted="usage missing, 2 workers, [fast]",
            ),
            against(
                "callcost [fast], 2 workers : LiteLLM loop on both cores",
                quick,
                loop[1],
                10,
                charted="... LiteLLM on both cores, too",
            ),
        ]
    return section


def _floor(
    bench: Bench, section: Section, log: Path, calls: int, work: str, label: str, targets: tuple[float, float]
) -> None:
    one, two = (section.add(bench.report(log, calls, workers=workers)) for workers in (1, 2))
    warm = section.add(bench.work("report warm", "callcost report, 1 worker, warm", log))
    floor = [section.add(bench.work(work, f"msgspec parses only, {many(n, 'process')}", log, 0, n)) for n in (1, 2)]
    section.ratios += [
        against("callcost, 1 worker, warm, of the parse floor", warm, floor[0], targets[0], by="cpu", unit="%"),
        against("callcost, 2 workers, of the parse floor", two, floor[1], targets[0], unit="%", charted=label),
        against("callcost: 2 workers : 1 worker", two, one, 1.7),
    ]
    if bench.engines(SCANNER):
        quick = section.add(bench.report(log, calls, workers=1, fast=True))
        scanned = section.add(bench.work("report warm", "callcost report [fast], 1 worker, warm", log, fast=True))
        share = "callcost [fast], 1 worker, warm, of the parse floor"
        section.ratios.append(against(share, scanned, floor[0], targets[1], by="cpu", unit="%"))
        section.ratios.append(against("callcost, 1 worker: [fast] : without", quick, one, by="cpu"))


def usage_complete(bench: Bench) -> Section:
    """Usage complete on long lines: nothing is counted, the lines are skipped over."""
    section = Section(title="Usage complete, JSONL, 6.9 KB a line")
    _floor(
        bench, section, bench.chats(usage=True), bench.size.chats, "msgspec parses chats", "JSONL, 6.9 KB a line",
        (55, 80),
    )
    return section


def usage_lean(bench: Bench) -> Section:
    """Usage complete on short lines: what is done per call shows."""
    section = Section(title="Usage complete, JSONL, lean rows of 500 bytes")
    _floor(bench, section, bench.lean(), bench.size.lean, "msgspec parses lean", "JSONL, 500 bytes a line", (60, 90))
    if bench.engines(("duckdb",)):
        warm = bench.work("report warm", "callcost report, 1 worker, warm", bench.lean())
        bare = section.add(bench.work("duckdb reads lean", "DuckDB read_json only, 1 thread", bench.lean()))
        section.ratios.append(against("callcost, 1 worker, warm : DuckDB's read_json alone", warm, bare, 1, by="cpu"))
    return section


def usage_flat(bench: Bench) -> Section:
    """Usage complete in flat Parquet: no Python object per row."""
    section = Section(title="Usage complete, flat Parquet")
    log, rows = bench.flat(), bench.size.flat
    one, two = (section.add(bench.report(log, rows, workers=workers)) for workers in (1, 2))
    few = bench.size.priced_by_peers
    loop = section.add(bench.work("litellm costs flat", "LiteLLM completion_cost loop, 1 process", log, few))
    section.ratios += [
        against(
            "callcost, 2 workers : LiteLLM completion_cost loop", two, loop, 300, charted="flat Parquet, 2 workers"
        ),
        against("callcost, 1 worker : LiteLLM completion_cost loop", one, loop),
        against("callcost: 2 workers : 1 worker", two, one, 1.7),
        Ratio(title="callcost, 1 worker: time a row", wall=1e6 * one.wall / rows, cpu=1e6 * one.cpu / rows, target=0.7,
              by="cpu", least=False, unit="us"),
    ]  # fmt: skip
    return section


def input_growth(bench: Bench) -> Section:
    """Four times the input: four times the time, and no more memory."""
    section = Section(title="One and four times the input, 2 workers")
    logs_of: tuple[tuple[str, Callable[[int], Path], int], ...] = (
        ("usage missing", lambda share: bench.chats(usage=False, share=share), bench.size.chats),
        ("usage complete", lambda share: bench.chats(usage=True, share=share), bench.size.chats),
        ("lean", bench.lean, bench.size.lean),
    )
    for title, log_of, calls in logs_of:
        small, large = (
            section.add(bench.report(log_of(share), calls // share, workers=2, title=f"{title}, {4 // share}x"))
            for share in (4, 1)
        )
        wall, cpu = large.wall / small.wall, large.cpu / small.cpu
        section.ratios.append(Ratio(title=f"{title}: time of 4x : 1x", wall=wall, cpu=cpu, target=4.1, least=False))
        if small.peak and large.peak:
            growth = large.peak / small.peak
            section.ratios.append(Ratio(title=f"{title}: memory of 4x : 1x", wall=growth, target=1.15, least=False))
            peak = large.peak / MIB
            section.ratios.append(
                Ratio(title=f"{title}: peak memory", wall=peak, target=700, least=False, unit="MiB")
            )
    return section


def bill_reconciled(bench: Bench) -> Section:
    """A bill: comparing calls with it, against the report of the same calls."""
    section = Section(title="reconcile with a bill of a tenth as many rows, a discount in it")
    log, calls = bench.billed(), bench.size.billed
    report, compared = (section.add(bench.report(log, calls, workers=2)), section.add(bench.reconcile(log, calls)))
    section.ratios.append(
        Ratio(title="time of the report's", wall=compared.wall / report.wall, cpu=compared.cpu / report.cpu, target=3,
              by="cpu", least=False)
    )  # fmt: skip
    if compared.peak:
        section.ratios.append(Ratio(title="peak memory", wall=compared.peak / MIB, target=954, least=False, unit="MiB"))
    return section


def sample_logs(bench: Bench) -> Section:
    """The samples, and transcripts: what a first-time user waits for."""
    section = Section(title="report sample_logs, and agents on 20 MB of transcripts, start-up included")
    ours = section.add(bench.report(ROOT / "sample_logs", 0, workers=2, title="callcost report sample_logs"))
    section.ratios.append(
        Ratio(title="seconds until the report is there", wall=ours.wall, cpu=ours.cpu, target=0.7, least=False,
              unit="s")
    )  # fmt: skip
    agents = section.add(bench.agents(bench.transcripts()))
    section.ratios.append(
        Ratio(title="seconds until callcost agents is done", wall=agents.wall, cpu=agents.cpu, target=1.2, least=False,
              unit="s")
    )  # fmt: skip
    return section


def nightly(bench: Bench) -> Section:
    """A state: what a night costs on which nothing is new, and one on which only the prices are."""
    section = Section(title="report --state, usage missing, 2 workers")
    figures = bench.nightly(bench.chats(usage=False), bench.size.chats)
    first, same, repriced = (section.add(figure) for figure in figures.values())
    section.ratios += [
        Ratio(title="pricing stored calls again, of the first run", wall=100 * repriced.wall / first.wall,
              cpu=100 * repriced.cpu / first.cpu, target=10, by="cpu", least=False, unit="%"),
        Ratio(title="seconds when nothing is new", wall=same.wall, cpu=same.cpu, target=1, by="cpu", least=False,
              unit="s"),
    ]  # fmt: skip
    return section


def year_of_nights(bench: Bench) -> Section:
    """A state of many days: what a night costs that brings one more, and one that brings nothing."""
    days, calls = bench.size.nights
    section = Section(title=f"report --state, {days} days of {calls:,} lean rows, 2 workers")
    first, new, same = (section.add(figure) for figure in bench.nights().values())
    older = days - 1
    section.ratios += [
        Ratio(title="a new day, times what a day took the first night", wall=older * new.wall / first.wall,
              cpu=older * new.cpu / first.cpu, by="cpu", least=False),
        Ratio(title="seconds of a new day", wall=new.wall, cpu=new.cpu, target=5, least=False, unit="s"),
        Ratio(title="seconds when nothing is new", wall=same.wall, cpu=same.cpu, target=1, by="cpu", least=False,
              unit="s"),
    ]  # fmt: skip
    return section


def batch_prices(bench: Bench) -> Section:
    """Pricing alone, of a table."""
    section = Section(title="Pricing a table of calls of 300 models in one month")
    rows, few = bench.size.priced, bench.size.priced_by_peers
    ours = section.add(bench.work("price batch", "price_facts: dated rates, exact decimals", None, rows))
    join = section.add(bench.work("float join", "join and dot product in Float64", None, rows))
    loop = section.add(bench.work("litellm costs calls", "LiteLLM completion_cost, one by one", None, few))
    slower = Ratio(
        title="price_facts takes, times the join in Float64",
        wall=(ours.wall / ours.units) / (join.wall / join.units),
        cpu=(ours.cpu / ours.units) / (join.cpu / join.units) if join.cpu else None,
        target=2.5,
        least=False,
    )
    section.ratios += [
        slower,
        against("price_facts : LiteLLM completion_cost", ours, loop, 100, charted="pricing a table"),
    ]
    return section


def scalar_helpers(bench: Bench) -> Section:
    """The helpers with LiteLLM's names."""
    section = Section(title="Helpers, one call at a time, 300 models")
    few = bench.size.priced_by_peers
    for name, peer in (("cost_per_token", "litellm cost_per_token"), ("completion_cost", "litellm costs calls")):
        ours = section.add(bench.work(name, f"callcost {name}", None, few))
        theirs = section.add(bench.work(peer, f"LiteLLM {name}", None, few))
        section.ratios.append(against(f"{name} : LiteLLM's", ours, theirs, 5, by="cpu", charted=f"{name}(), 1 process"))
    return section


def event_loop(bench: Bench) -> Section:
    """Large counts beside an event loop: the others on it have their turn."""
    section = Section(title="async_token_counter: ticks of 10 ms that come within 20 ms, while 1 MB inputs are counted")
    for inputs in (1, 4):
        ticked = bench.work("ticker", f"ticks beside {inputs}", None, inputs)
        section.ratios.append(Ratio(title=f"{inputs} in flight", wall=ticked.units / 10, target=95, unit="%"))
    return section


def readers(bench: Bench) -> Section:
    """Records with usage, by columns and by the record reader: what each takes beside what a log takes at all."""
    few, many_ = bench.size.read
    section = Section(title=f"Records read to facts, what each takes of {many_:,} beyond {few:,}, 1 process")
    of_spend = 0.0
    for dialect in LOGS:
        logs_of = partial(bench.of_dialect, dialect)
        size = (logs_of(many_).stat().st_size - logs_of(few).stat().st_size) / (many_ - few)
        columns, records = (
            section.add(bench.slope(f"map {way}", f"{dialect}, {size:,.0f} bytes, {way}", logs_of))
            for way in ("by columns", "by record")
        )
        section.ratios.append(against(f"{dialect}: by columns : by record", columns, records, 5, by="cpu"))
        if dialect in COLUMNS:
            warm = section.add(bench.slope("report warm", f"{dialect}, reported, warm", logs_of))
            floor = section.add(bench.slope(f"msgspec parses {dialect}", f"{dialect}, msgspec parses only", logs_of))
            share = f"{dialect}: reported, of the parse floor"
            section.ratios.append(against(share, warm, floor, 40, by="cpu", unit="%"))
        per_byte = columns.cpu / columns.units / size
        of_spend = of_spend or per_byte
        title = f"{dialect}: CPU per byte, times that of {next(iter(LOGS))}"
        section.ratios.append(Ratio(title=title, wall=per_byte / of_spend, target=2.5, least=False))
        if dialect == next(iter(LOGS)):
            section.ratios += [_packed(bench, section, dialect, columns, packed) for packed in ("gz", "zst")]
    return section


def _packed(bench: Bench, section: Section, dialect: str, plain: Figure, packed: str) -> Ratio:
    logs_of = partial(bench.of_dialect, dialect, packed=packed)
    columns = section.add(bench.slope("map by columns", f"{dialect}.{packed}, by columns", logs_of))
    unpacked = section.add(bench.slope("unpack", f"{dialect}.{packed}, unpacked only", logs_of))
    title = f"{dialect}.{packed}: CPU, times that of the plain log and unpacking"
    return Ratio(title=title, wall=columns.cpu / (plain.cpu + unpacked.cpu), target=1.3, least=False)


CASES: dict[str, Callable[[Bench], Section]] = {
    "missing": usage_missing,
    "complete": usage_complete,
    "lean": usage_lean,
    "flat": usage_flat,
    "growth": input_growth,
    "bill": bill_reconciled,
    "samples": sample_logs,
    "readers": readers,
    "nightly": nightly,
    "nights": year_of_nights,
    "prices": batch_prices,
    "helpers": scalar_helpers,
    "loop": event_loop,
}


def run_cases(bench: Bench, names: tuple[str, ...]) -> Iterator[Section]:
    """Run cases by name; all if none is named."""
    for name in names or CASES:
        yield CASES[name](bench)
