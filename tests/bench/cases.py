"""What is measured, and what is set against what: the cases, their ratios, and what each ratio has to be.

A figure is one command's or one work's cost per call; a ratio sets two figures of one run against each other. callcost
is measured as its user runs it, start-up included, unless a title says "warm"; its peers without theirs.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench import logs
from tests.bench.jobs import Job
from tests.bench.measure import Taken, take

ROOT = Path(__file__).resolve().parents[2]
FAST_ENGINES = ("toktok", "gigatoken")
_HIDE_ENGINES = f"import sys\nsys.modules.update(dict.fromkeys({FAST_ENGINES!r}))\n"
MIB = 1 << 20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured.

    Attributes:
        chats: calls with text.
        lean: rows of JSONL without text.
        flat: rows of Parquet.
        priced: rows priced in a batch.
        counted_by_peers: chats that the slow peers count; their speed does not depend on how many.
        priced_by_peers: rows that LiteLLM prices, one by one.
    """

    chats: int
    lean: int
    flat: int
    priced: int
    counted_by_peers: int
    priced_by_peers: int


SIZES = {
    "tiny": Size(chats=40, lean=100, flat=200, priced=1_000, counted_by_peers=10, priced_by_peers=10),
    "small": Size(
        chats=6_000, lean=120_000, flat=500_000, priced=100_000, counted_by_peers=400, priced_by_peers=1_000
    ),
    "medium": Size(
        chats=30_000, lean=400_000, flat=2_000_000, priced=1_000_000, counted_by_peers=2_000, priced_by_peers=5_000
    ),
    "full": Size(
        chats=150_000, lean=2_000_000, flat=10_000_000, priced=1_000_000, counted_by_peers=8_000, priced_by_peers=20_000
    ),
}  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What one command or work took.

    Attributes:
        title: what ran.
        units: calls that it dealt with.
        wall: seconds by the clock.
        cpu: seconds of the processors.
        peak: bytes of memory at most; None: not told.
    """

    title: str
    units: int
    wall: float
    cpu: float
    peak: int | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Two figures set against each other.

    Attributes:
        title: what against what.
        wall: the ratio by the clock.
        cpu: the ratio by processor time; None: it means nothing.
        target: what issue 5 or 3 asks; None: nothing.
        by: "wall" or "cpu": which of the two has to meet the target.
        least: the target is a least; False: a most.
        unit: "x", "%" (of the peer's speed), "s" or "MiB".
        charted: what its bar of the chart is called; "": it has none.
    """

    title: str
    wall: float
    cpu: float | None = None
    target: float | None = None
    by: str = "wall"
    least: bool = True
    unit: str = "x"
    charted: str = ""

    @property
    def value(self) -> float:
        """The ratio that has to meet the target."""
        return self.cpu if self.by == "cpu" and self.cpu is not None else self.wall

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None: there is none."""
        if self.target is None:
            return None
        return self.value >= self.target if self.least else self.value <= self.target


@dataclasses.dataclass(slots=True, kw_only=True)
class Section:
    """One case, measured."""

    title: str
    figures: list[Figure] = dataclasses.field(default_factory=list)
    ratios: list[Ratio] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    def add(self, figure: Figure) -> Figure:
        """Keep a figure, once, and hand it on."""
        if figure not in self.figures:
            self.figures.append(figure)
        return figure


class Bench:
    """Runs what the cases ask for, each thing once, and keeps the best of some rounds.

    Args:
        folder: where data is made, and found again.
        size: how much is measured.
        rounds: how often each thing is run.
        say: told what runs now.
    """

    def __init__(self, folder: Path, size: Size, rounds: int = 1, say: Callable[[str], None] = lambda _: None) -> None:
        self.folder, self.size, self.rounds, self.say = folder, size, rounds, say
        folder.mkdir(parents=True, exist_ok=True)
        self._known: dict[tuple[str, ...], Figure] = {}
        hidden = folder / "without-extras"
        hidden.mkdir(exist_ok=True)
        (hidden / "sitecustomize.py").write_text(_HIDE_ENGINES, encoding="utf-8")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("CALLCOST_", "PYTHON"))}
        clean["CALLCOST_DATA_DIR"] = str(folder / "no-user-data")
        self._fast = {**clean, "PYTHONPATH": str(ROOT)}
        self._plain = {**clean, "PYTHONPATH": os.pathsep.join((str(hidden), str(ROOT)))}

    # --- Data ---

    def chats(self, *, usage: bool, share: int = 1) -> Path:
        """Return the log of chats, or the first part of it."""
        count = self.size.chats // share
        name = f"chats-{'complete' if usage else 'missing'}-{count}.jsonl"
        return self._made(name, lambda path: logs.write_jsonl(path, logs.chats(count, usage=usage)))

    def lean(self, share: int = 1) -> Path:
        """Return the log of lean rows, or the first part of it."""
        count = self.size.lean // share
        return self._made(f"lean-{count}.jsonl", lambda path: logs.write_jsonl(path, logs.lean(count)))

    def flat(self) -> Path:
        """Return the flat Parquet file."""
        return self._made(f"flat-{self.size.flat}.parquet", lambda path: logs.write_flat(path, self.size.flat))

    def _made(self, name: str, make: Callable[[Path], Path]) -> Path:
        path = self.folder / name
        if not path.exists():
            self.say(f"making {name}")
            make(path)
        return path

    # --- Runs ---

    def report(self, log: Path, calls: int, *, workers: int, fast: bool = False, title: str = "") -> Figure:
        """Run the command on a log; its own manifest says whether it dealt with every call."""
        title = title or f"callcost report{' [fast]' if fast else ''}, {_many(workers, 'worker')}"
        env = self._fast if fast else self._plain

        def run() -> tuple[int, Taken]:
            with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                out = Path(folder, "out")
                words = ["report", str(log), "--out", str(out), "--workers", str(workers), "--quiet"]
                taken = take([sys.executable, "-m", "pipeline", *words], env)
                manifest = json.loads((out / "manifest.json").read_bytes())
                found = manifest["records"]["calls"]
                if calls and found != calls:
                    raise RuntimeError(f"{found} of {calls} calls of {log.name} are in the report")
                return found, taken

        return self._best(("report", str(log), str(workers), str(fast)), title, run)

    def engines(self) -> list[str]:
        """Return the engines that count when nothing is hidden."""
        log = self._made("three.jsonl", lambda path: logs.write_jsonl(path, logs.chats(3, usage=False)))
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            out = Path(folder, "out")
            take([sys.executable, "-m", "pipeline", "report", str(log), "--out", str(out), "--quiet"], self._fast)
            return list(json.loads((out / "manifest.json").read_bytes())["run"]["engines"])

    def work(self, name: str, title: str, path: Path | None = None, rows: int = 0, processes: int = 1) -> Figure:
        """Run a work of peers.py or ours.py in as many processes."""
        job = Job(path=str(path or ""), rows=rows, parts=processes)
        command = [sys.executable, "-m", "tests.bench.process", name, json.dumps(dataclasses.asdict(job))]

        def run() -> tuple[int, Taken]:
            taken = take(command, self._plain)
            done = json.loads(taken.output.splitlines()[-1])
            return done["units"], dataclasses.replace(taken, wall=done["wall"], cpu=done["cpu"])

        return self._best((name, str(path), str(rows), str(processes)), title, run)

    def _best(self, key: tuple[str, ...], title: str, run: Callable[[], tuple[int, Taken]]) -> Figure:
        if key not in self._known:
            runs = []
            for _ in range(self.rounds):
                self.say(title)
                runs.append(run())
            units = runs[0][0]
            self._known[key] = Figure(
                title=title,
                units=units,
                wall=min(taken.wall for _, taken in runs),
                cpu=min(taken.cpu for _, taken in runs),
                peak=max((taken.peak for _, taken in runs if taken.peak is not None), default=None),
            )
        return dataclasses.replace(self._known[key], title=title)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "es" if noun.endswith("s") else "s")


def against(title: str, ours: Figure, peer: Figure, target: float | None = None, **more: object) -> Ratio:
    """Set our speed against a peer's: how many times as many calls per second, of the clock and of a processor."""
    wall = (peer.wall / peer.units) / (ours.wall / ours.units)
    cpu = (peer.cpu / peer.units) / (ours.cpu / ours.units) if ours.cpu and peer.cpu else None
    if more.get("unit") == "%":
        wall, cpu = 100 * wall, None if cpu is None else 100 * cpu
    return Ratio(title=title, wall=wall, cpu=cpu, target=target, **more)  # type: ignore[arg-type]


# --- Cases ------------------------------------------------------------------------------------------------------------


def usage_missing(bench: Bench) -> Section:
    """Usage missing everywhere: every text is counted."""
    section = Section(title="Usage missing everywhere, chats of ten messages, 6.9 KB a line")
    log, calls, few = bench.chats(usage=False), bench.size.chats, bench.size.counted_by_peers
    one, two = (section.add(bench.report(log, calls, workers=workers)) for workers in (1, 2))
    fast = any(engine.startswith(FAST_ENGINES) for engine in bench.engines())
    quick = section.add(bench.report(log, calls, workers=2, fast=True)) if fast else None
    if quick is None:
        section.notes.append("[fast]: left out, no engine but tiktoken counted")
    loop = [
        section.add(bench.work("litellm counts", f"LiteLLM loop, {_many(n, 'process')}", log, few, n)) for n in (1, 2)
    ]
    plain = section.add(bench.work("tiktoken counts", "json + tiktoken, 2 processes", log, few, 2))
    section.ratios += [
        against("callcost, 2 workers : LiteLLM loop", two, loop[0], 7, charted="usage missing, 2 workers"),
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


def _floor(bench: Bench, section: Section, log: Path, calls: int, work: str, label: str, target: float) -> None:
    one, two = (section.add(bench.report(log, calls, workers=workers)) for workers in (1, 2))
    warm = section.add(bench.work("report warm", "callcost report, 1 worker, warm", log))
    floor = [section.add(bench.work(work, f"msgspec parses only, {_many(n, 'process')}", log, 0, n)) for n in (1, 2)]
    section.ratios += [
        against("callcost, 1 worker, warm, of the parse floor", warm, floor[0], target, by="cpu", unit="%"),
        against("callcost, 2 workers, of the parse floor", two, floor[1], target, unit="%", charted=label),
        against("callcost: 2 workers : 1 worker", two, one, 1.7),
    ]


def usage_complete(bench: Bench) -> Section:
    """Usage complete on long lines: nothing is counted, the lines are skipped over."""
    section = Section(title="Usage complete, JSONL, 6.9 KB a line")
    _floor(
        bench, section, bench.chats(usage=True), bench.size.chats, "msgspec parses chats", "JSONL, 6.9 KB a line", 60
    )
    return section


def usage_lean(bench: Bench) -> Section:
    """Usage complete on short lines: what is done per call shows."""
    section = Section(title="Usage complete, JSONL, lean rows of 500 bytes")
    _floor(bench, section, bench.lean(), bench.size.lean, "msgspec parses lean", "JSONL, 500 bytes a line", 35)
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
        against("callcost: 2 workers : 1 worker", two, one),
    ]
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
        section.ratios.append(Ratio(title=f"{title}: time of 4x : 1x", wall=wall, cpu=cpu, target=4.2, least=False))
        if small.peak and large.peak:
            growth = large.peak / small.peak
            section.ratios.append(Ratio(title=f"{title}: memory of 4x : 1x", wall=growth, target=1.15, least=False))
            peak = large.peak / MIB
            section.ratios.append(
                Ratio(title=f"{title}: peak memory", wall=peak, target=1_000, least=False, unit="MiB")
            )
    return section


def sample_logs(bench: Bench) -> Section:
    """The samples: what a first-time user waits for."""
    section = Section(title="report sample_logs, start-up included")
    ours = section.add(bench.report(ROOT / "sample_logs", 0, workers=2, title="callcost report sample_logs"))
    section.ratios.append(
        Ratio(title="seconds until the report is there", wall=ours.wall, cpu=ours.cpu, target=2, least=False, unit="s")
    )
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


CASES: dict[str, Callable[[Bench], Section]] = {
    "missing": usage_missing,
    "complete": usage_complete,
    "lean": usage_lean,
    "flat": usage_flat,
    "growth": input_growth,
    "samples": sample_logs,
    "prices": batch_prices,
    "helpers": scalar_helpers,
}


def run_cases(bench: Bench, names: tuple[str, ...]) -> Iterator[Section]:
    """Run cases by name; all if none is named."""
    for name in names or CASES:
        yield CASES[name](bench)
