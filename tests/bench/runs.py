"""Figures and ratios, and the bench that takes them: data made once, each thing run once a round, the best kept.

A figure is one command's or one work's cost per call; a ratio sets two figures of one run against each other. callcost
is run as its user runs it, start-up included; its peers tell their own time, without theirs. What is measured is in
cases.py.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path

from tests.bench import logs
from tests.bench.dialect_logs import LOGS
from tests.bench.jobs import Job
from tests.bench.measure import Taken, take

ROOT = Path(__file__).resolve().parents[2]
FAST_ENGINES, SCANNER = ("toktok", "gigatoken"), ("wasmtime",)
_HIDE_ENGINES = f"import sys\nsys.modules.update(dict.fromkeys({(*FAST_ENGINES, *SCANNER)!r}))\n"
MIB = 1 << 20
_TRANSCRIPT = 700  # rows of a transcript


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
        read: records of each dialect: of the small log and of the large one, whose difference is told.
        billed: rows of JSONL without text, of which a bill has a tenth as many rows.
        nights: days with a log of their own, and the rows without text of each.
        transcribed: rows of transcripts of a coding agent, about 1 KB each.
    """

    chats: int
    lean: int
    flat: int
    priced: int
    counted_by_peers: int
    priced_by_peers: int
    read: tuple[int, int] = (20_000, 100_000)
    billed: int = 1_000_000
    nights: tuple[int, int] = (60, 30_000)
    transcribed: int = 20_000


SIZES = {
    "tiny": Size(
        chats=40, lean=100, flat=200, priced=1_000, counted_by_peers=10, priced_by_peers=10, read=(100, 900),
        billed=500, nights=(3, 50), transcribed=60,
    ),
    "small": Size(
        chats=6_000, lean=120_000, flat=500_000, priced=100_000, counted_by_peers=400, priced_by_peers=1_000,
        read=(4_000, 20_000), billed=100_000, nights=(15, 10_000),
    ),
    "medium": Size(
        chats=30_000, lean=400_000, flat=2_000_000, priced=1_000_000, counted_by_peers=2_000, priced_by_peers=5_000
    ),
    "full": Size(
        chats=150_000, lean=2_000_000, flat=10_000_000, priced=1_000_000, counted_by_peers=8_000,
        priced_by_peers=20_000, nights=(365, 30_000),
    ),
}  # fmt: skip


_DEAR = b'{"input_cost_per_token":1,"litellm_provider":"openai","mode":"chat","output_cost_per_token":1}'


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
        target: what issues 3, 4, 5 and 7 ask; None: nothing.
        by: "wall" or "cpu": which of the two has to meet the target.
        least: the target is a least; False: a most.
        unit: "x", "%" (of the peer's speed), "s", "us" or "MiB".
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
        self._ran: dict[tuple[str, ...], int] = {}  # workers, as the report's manifest has them
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

    def of_dialect(self, dialect: str, count: int, packed: str = "") -> Path:
        """Return a log of a dialect, plain or packed ("gz", "zst")."""
        name = f"{dialect}-{count}.jsonl"
        plain = self._made(name, lambda path: logs.write_jsonl(path, LOGS[dialect](count)))
        return self._made(f"{name}.{packed}", lambda path: logs.pack(plain, path)) if packed else plain

    def billed(self) -> Path:
        """Return a log of lean rows whose bill lies beside it."""
        return self._made(f"billed-{self.size.billed}.jsonl", lambda path: logs.write_billed(path, self.size.billed))

    def transcripts(self) -> Path:
        """Return a home folder with transcripts of a coding agent, a few hundred rows each."""
        home, count = self.folder / f"home-{self.size.transcribed}", self.size.transcribed
        place = home / ".claude" / "projects" / "-home-ann-harbour"
        place.mkdir(parents=True, exist_ok=True)
        rows = LOGS["claude_code"](count)
        for start in range(0, count, _TRANSCRIPT):
            logs.write_jsonl(place / f"s{start}.jsonl", islice(rows, _TRANSCRIPT))
        return home

    def _made(self, name: str, make: Callable[[Path], Path]) -> Path:
        path = self.folder / name
        if not path.exists():
            self.say(f"making {name}")
            make(path)
        return path

    # --- Runs ---

    def report(self, log: Path, calls: int, *, workers: int, fast: bool = False, title: str = "") -> Figure:
        """Run the command on a log; its own manifest says whether it dealt with every call."""
        title = title or f"callcost report{' [fast]' if fast else ''}, {many(workers, 'worker')}"
        env = self._fast if fast else self._plain

        def run() -> tuple[int, Taken]:
            with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                out = Path(folder, "out")
                words = ["report", str(log), "--out", str(out), "--workers", str(workers), "--quiet"]
                taken = take([sys.executable, "-m", "callcost", *words], env)
                manifest = json.loads((out / "manifest.json").read_bytes())
                found = manifest["records"]["calls"]
                if calls and found != calls:
                    raise RuntimeError(f"{found} of {calls} calls of {log.name} are in the report")
                self._ran[key] = manifest["run"]["workers"]
                return found, taken

        key = ("report", str(log), str(workers), str(fast))
        figure = self._best(key, title, run)
        few = f" ({self._ran[key]} ran)" if self._ran[key] < workers else ""  # too little input for more
        return dataclasses.replace(figure, title=title + few)

    def agents(self, home: Path) -> Figure:
        """Run the command on what coding agents left in a home folder, for the first time."""

        def run() -> tuple[int, Taken]:
            with tempfile.TemporaryDirectory(dir=self.folder) as cache:
                env = {**self._plain, "HOME": str(home), "XDG_CACHE_HOME": cache}
                taken = take([sys.executable, "-m", "callcost", "agents", "--json", "--quiet"], env)
                return json.loads(taken.output)["records"]["calls"], taken

        return self._best(("agents", str(home)), "callcost agents", run)

    def reconcile(self, log: Path, calls: int) -> Figure:
        """Run the command on a log and the bill beside it."""

        def run() -> tuple[int, Taken]:
            with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                words = ["reconcile", str(log), "--bill", str(log.with_suffix(".bill")), "--out", folder, "--quiet"]
                taken = take([sys.executable, "-m", "callcost", *words, "--workers", "2"], self._plain)
                manifest = json.loads(Path(folder, "manifest.json").read_bytes())
                if manifest["calls"] != calls or manifest["bill"]["explained_percent"] != "100":
                    raise RuntimeError(f"{manifest['calls']} of {calls} calls of {log.name} are compared, or not all")
                return calls, taken

        return self._best(("reconcile", str(log)), "callcost reconcile, 2 workers", run)

    def nightly(self, log: Path, calls: int) -> dict[str, Figure]:
        """Run the command with a state: for the first time, with nothing new, and after a price version was added."""
        from callcost.prices.book.catalog import add_map

        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            state, out, own = (Path(folder, name) for name in ("state", "out", "own"))
            env = {**self._plain, "CALLCOST_DATA_DIR": str(own)}
            words = ["report", str(log), "--state", str(state), "--out", str(out), "--workers", "2", "--quiet"]
            figures = {}
            for title in ("first run", "nothing new", "another price version"):
                if title == "another price version":
                    moment = logs.FIRST_MOMENT * 1_000_000
                    add_map({"gpt-4o": _DEAR}, name="dear", effective_from=moment, source="-", folder=own / "prices")
                figures[title] = self._night(title, words, env, calls)
            manifest = json.loads((out / "manifest.json").read_bytes())
            if manifest["run"]["inputs_read"] or "dear" not in json.dumps(manifest["price_versions"]):
                raise RuntimeError("the log was read again, or its calls not priced again")
            return figures

    def nights(self) -> dict[str, Figure]:
        """Run the command with a state: over all days but the last, with that one, and with nothing new."""
        days, calls = self.size.nights
        made = self._made(f"days-{days}-{calls}", lambda path: logs.write_days(path, days, calls))
        *older, newest = sorted(made.iterdir())
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            log, state, out = (Path(folder, name) for name in ("logs", "state", "out"))
            words = ["report", str(log), "--state", str(state), "--out", str(out), "--workers", "2", "--quiet"]
            log.mkdir()
            figures, held = {}, 0
            for title, fresh in (("first night", older), ("a new day", [newest]), ("nothing new", [])):
                for path in fresh:
                    os.link(path, log / path.name)
                held += calls * len(fresh)
                figures[title] = self._night(title, words, self._plain, held)
            return figures

    def _night(self, title: str, words: Sequence[str], env: Mapping[str, str], calls: int) -> Figure:
        """Run the command with a state, whose report is to have so many calls."""
        self.say(title)
        taken = take([sys.executable, "-m", "callcost", *words], env)
        found = json.loads(Path(words[words.index("--out") + 1], "manifest.json").read_bytes())["records"]["calls"]
        if found != calls:
            raise RuntimeError(f"{found} of {calls} calls are in the report")
        return Figure(title=title, units=calls, wall=taken.wall, cpu=taken.cpu, peak=taken.peak)

    def engines(self, names: tuple[str, ...] = FAST_ENGINES) -> list[str]:
        """Return which of the fast engines are there when nothing is hidden."""
        ask = f"import importlib.util as u; print(*[name for name in {names!r} if u.find_spec(name)])"
        return take([sys.executable, "-c", ask], self._fast).output.split()

    def work(
        self, name: str, title: str, path: Path | None = None, rows: int = 0, processes: int = 1, *, fast: bool = False
    ) -> Figure:
        """Run a work of peers.py or ours.py in as many processes; ``fast``: with what the extra brings."""
        job = Job(path=str(path or ""), rows=rows, parts=processes)
        command = [sys.executable, "-m", "tests.bench.process", name, json.dumps(dataclasses.asdict(job))]

        def run() -> tuple[int, Taken]:
            taken = take(command, self._fast if fast else self._plain)
            done = json.loads(taken.output.splitlines()[-1])
            return done["units"], dataclasses.replace(taken, wall=done["wall"], cpu=done["cpu"])

        return self._best((name, str(path), str(rows), str(processes), str(fast)), title, run)

    def slope(self, work: str, title: str, log_of: Callable[[int], Path]) -> Figure:
        """Run a work on a small and on a large log; return what the records take that only the large one has."""
        few, many = self.size.read
        small, large = (self.work(work, title, log_of(count)) for count in (few, many))
        wall, cpu = (max(high - low, 1e-3) for low, high in ((small.wall, large.wall), (small.cpu, large.cpu)))
        return Figure(title=title, units=many - few, wall=wall, cpu=cpu, peak=None)

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


def many(count: int, noun: str) -> str:
    """Return a count and its noun.

    >>> many(1, "worker"), many(2, "process")
    ('1 worker', '2 processes')
    """
    return f"{count} {noun}" + ("" if count == 1 else "es" if noun.endswith("s") else "s")


def against(title: str, ours: Figure, peer: Figure, target: float | None = None, **more: object) -> Ratio:
    """Set our speed against a peer's: how many times as many calls per second, of the clock and of a processor."""
    wall = (peer.wall / peer.units) / (ours.wall / ours.units)
    cpu = (peer.cpu / peer.units) / (ours.cpu / ours.units) if ours.cpu and peer.cpu else None
    if more.get("unit") == "%":
        wall, cpu = 100 * wall, None if cpu is None else 100 * cpu
    return Ratio(title=title, wall=wall, cpu=cpu, target=target, **more)  # type: ignore[arg-type]
