"""With the scanner, without it and where it fails, logs have the same facts and reports the same bytes."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from callcost.stages.columnar.decode import Rows
from callcost.stages.columnar.line_blocks import BLOCK_BYTES
from callcost.stages.columnar.scanner import machine
from callcost.stages.columnar.scanner.columns import Scanner
from callcost.stages.columnar.scanner.machine import Fault, WasmMachine, is_installed
from tests.bench.logs import chats, lean, pack, write_jsonl
from tests.command import SAMPLES, report
from tests.laws.test_litellm_columns import assert_same, read
from tests.stages.scanner.build import SOURCE, build
from tests.stages.scanner.dialects import NAMES, dialect_of
from tests.stages.scanner.fuzz import MOST, is_text
from tests.stages.scanner.mutations import mutated

pytestmark = pytest.mark.usefixtures("scanned_for_all")
needs_scanner = pytest.mark.skipif(not is_installed(), reason="pip install 'callcost[fast]'")

_PASSES = 2  # of assert_same by columns
_ODD = 0.2  # of the lines; with many more of them nothing is read by columns


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The heights of all tables that a scanner gives."""
    found: list[int] = []
    take = Scanner.take

    def noted(self: Scanner) -> Rows:
        found.append(self.height)
        return take(self)

    monkeypatch.setattr(Scanner, "take", noted)
    return found


@needs_scanner
@pytest.mark.parametrize("name", NAMES)
def test_ordinary_and_odd_lines_have_the_same_facts(name: str, scanned: list[int], tmp_path: Path) -> None:
    dialect, chance = dialect_of(name), random.Random(20_261_130)
    drawn = (chance.choice(dialect.lines) for _ in range(1_000))
    lines = [mutated(line, chance) if chance.random() < _ODD else line for line in drawn]
    lines = [line for line in lines if is_text(line)]  # else their whole block is decoded
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"\n".join([*dialect.lines, *lines]) + b"\n")
    assert_same(path)
    assert sum(scanned) > _PASSES * (1 - 2 * _ODD) * len(lines)


@needs_scanner
@pytest.mark.parametrize("path", sorted(SAMPLES.rglob("*.jsonl")), ids=lambda path: path.name)
def test_samples_have_the_same_facts(path: Path) -> None:
    assert_same(path)


@needs_scanner
def test_reports_of_plain_and_packed_logs_are_the_same_bytes(
    scanned: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    for name, records in (("lean", lean(3_000)), ("chats", chats(150, usage=True))):
        plain = write_jsonl(logs / f"{name}.jsonl", records)
        assert plain.stat().st_size > BLOCK_BYTES
        for suffix in (".gz", ".zst"):
            pack(plain, logs / f"{name}-packed.jsonl{suffix}")
    options = ("--calls", "--format", "parquet,csv,json", "--workers", "1")
    report([logs, SAMPLES], tmp_path / "with", *options)
    assert sum(scanned) > 9_000
    scanned.clear()
    monkeypatch.setattr("callcost.stages.columnar.jsonl.is_installed", lambda: False)
    report([logs, SAMPLES], tmp_path / "without", *options)
    assert not scanned
    assert _files(tmp_path / "with") == _files(tmp_path / "without")


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"  # when and in what folder a run was
    }


def test_without_wasmtime_nothing_is_scanned_and_nothing_is_said(
    scanned: list[int], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine._loaded.cache_clear()
    monkeypatch.setitem(sys.modules, "wasmtime", None)
    path = write_jsonl(tmp_path / "log.jsonl", lean(500))
    found = read(path, by_columns=True)[1]
    machine._loaded.cache_clear()
    assert (found, scanned, tuple(capfd.readouterr())) == (500, [], ("", ""))


@needs_scanner
def test_a_block_that_the_scanner_fails_on_is_decoded(
    scanned: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_jsonl(tmp_path / "log.jsonl", lean(9_000))
    scan, calls = WasmMachine.scan, iter(range(100))

    def failing(self: WasmMachine, lines: bytes, number: int, offset: int) -> int:
        done = scan(self, lines, number, offset)
        if next(calls) == 2:
            raise Fault
        return done

    monkeypatch.setattr(WasmMachine, "scan", failing)
    assert assert_same(path) == 9_000
    assert 0 < sum(scanned) < _PASSES * 9_000


@needs_scanner
def test_a_fault_is_caught_and_harms_no_row_before_it() -> None:
    dialect, found = dialect_of("litellm_spend"), WasmMachine(MOST)
    scanner, block = Scanner(dialect.plan, found), b"\n".join(dialect.lines)
    scanner.scan(block, 1, 0)
    own = found.read(scanner._columns, 8)
    found.write(scanner._columns, (3 << 30).to_bytes(8, "little"))  # where the first column lies: beyond the memory
    with pytest.raises(Fault):
        scanner.scan(block, 100, 0)
    found.write(scanner._columns, own)
    assert scanner.take().numbers.to_list() == list(range(1, len(dialect.lines) + 1))


@needs_scanner
def test_the_blob_is_what_the_source_comes_to(tmp_path: Path) -> None:
    pytest.importorskip("ziglang", reason="pip install 'callcost[scanner-build]'")
    assert build(tmp_path / "scanner.wasm").read_bytes() == machine.BLOB.read_bytes(), SOURCE
