"""Shuffling lines, copying files, and splitting or repeating what has an id never change a total."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import zstandard

from callcost.logs.io.inputs import find_inputs, read_raw
from callcost.logs.io.records import BOM, Raw
from tests.command import SAMPLES, Finished, assert_conserved, read_records, report, write_lines

PLAIN_FILES = sorted(SAMPLES.rglob("*.jsonl"))
OTHER_FILES = sorted(set(SAMPLES.rglob("*.*")) - set(PLAIN_FILES))

PARQUET_FILES = sorted(SAMPLES.rglob("*.parquet"))
DAMAGED_FILES = sorted(SAMPLES.glob("damaged-*"))
TEXT_FILES = sorted(set(SAMPLES.rglob("*.*")) - {*PARQUET_FILES, *DAMAGED_FILES})


def _records_of(path: Path) -> list[bytes]:
    (source,) = find_inputs([str(path)])
    return [raw.data for raw in read_raw(source) if isinstance(raw, Raw)]


def _lines(records: list[bytes]) -> bytes:
    return b"".join(record.replace(b"\n", b" ") + b"\n" for record in records)


def _array_and_lines(records: list[bytes]) -> bytes:
    """Objects as one array; what is none cannot stand in it, and comes as lines after it."""
    objects = [record for record in records if _is_object(record)]
    return b"[\n" + b",\n".join(objects) + b"\n]\n" + _lines([one for one in records if one not in objects])


def _is_object(record: bytes) -> bool:
    try:
        return isinstance(json.loads(record), dict)
    except (ValueError, RecursionError):
        return False


PACKINGS: list[Callable[[list[bytes]], bytes]] = [
    _lines,
    _array_and_lines,
    lambda records: gzip.compress(_lines(records)),
    lambda records: gzip.compress(_lines(records[:5])) + gzip.compress(_lines(records[5:])),
    lambda records: zstandard.compress(_lines(records)),
    lambda records: BOM + _lines(records).replace(b"\n", b"\r\n"),
]


def _kept_together(records: list[bytes]) -> list[list[bytes]]:
    """Group the chunks of one stream, which mean something only together and in order, and equal rows without an id.

    These count as often as one file has them (tests/laws/test_equal_rows.py); all else stands alone.
    """
    groups: dict[bytes, list[bytes]] = {}
    for number, record in enumerate(records):
        stream = record.split(b'"id":"', 1)[1].split(b'"', 1)[0] if b"chat.completion.chunk" in record else b""
        groups.setdefault(stream or (str(number).encode() if _has_id(record) else record), []).append(record)
    return list(groups.values())


@pytest.mark.parametrize("seed", [1, 2])
def test_shuffled_and_split_lines_give_the_same_totals(
    sample_report: Finished, tmp_path: Path, out: Path, seed: int
) -> None:
    chance = random.Random(seed)
    groups = _kept_together(read_records(PLAIN_FILES))
    chance.shuffle(groups)
    for number in range(5):
        write_lines(tmp_path / "logs" / f"part-{number}.jsonl", [line for group in groups[number::5] for line in group])

    shuffled = report([tmp_path / "logs", *OTHER_FILES], out)

    assert (shuffled.out / "spend.csv").read_bytes() == (sample_report.out / "spend.csv").read_bytes()
    assert_conserved(shuffled)


@pytest.mark.parametrize("seed", [3, 4])
def test_packed_and_mixed_files_give_the_same_totals(
    sample_report: Finished, tmp_path: Path, out: Path, seed: int
) -> None:
    """All of sample_logs dealt anew: dialects mixed, lines and arrays, gzip and zstandard, Parquet cut and reversed."""
    chance = random.Random(seed)
    groups = _kept_together([record for path in TEXT_FILES for record in _records_of(path)])
    chance.shuffle(groups)
    hands = [
        [record for group in groups[number :: len(PACKINGS)] for record in group] for number in range(len(PACKINGS))
    ]
    for number, (pack, hand) in enumerate(zip(PACKINGS, hands, strict=True)):
        path = tmp_path / "logs" / f"part-{number}.log"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pack(hand))
    for path in PARQUET_FILES:
        rows = pq.read_table(path)
        backwards = rows.take(list(reversed(range(len(rows)))))
        for number, part in enumerate((backwards.slice(0, 3), backwards.slice(3))):
            pq.write_table(part, tmp_path / "logs" / f"{path.stem}-{number}.parquet", row_group_size=2)

    dealt = report([tmp_path / "logs", *DAMAGED_FILES], out)

    assert (dealt.out / "spend.csv").read_bytes() == (sample_report.out / "spend.csv").read_bytes()
    assert_conserved(dealt)


def test_lines_with_an_id_repeated_in_another_file_give_the_same_totals(
    sample_report: Finished, tmp_path: Path, out: Path
) -> None:
    repeated = [line for line in read_records(PLAIN_FILES) if _has_id(line)]
    assert len(repeated) > 50
    copy = write_lines(tmp_path / "once-more.jsonl", repeated)

    twice = report([SAMPLES, copy], out)

    assert (twice.out / "spend.csv").read_bytes() == (sample_report.out / "spend.csv").read_bytes()
    assert twice.input("once-more.jsonl")["duplicates"] + twice.input("once-more.jsonl")["fragments"] > 0
    assert_conserved(twice)


def test_a_copy_of_every_file_packed_or_not_gives_the_same_totals(
    sample_report: Finished, out: Path, tmp_path: Path
) -> None:
    """Also of rows that nothing tells apart: the file that has most of them decides."""
    for path in (path for path in TEXT_FILES if path.suffix == ".jsonl"):
        copy = tmp_path / "copies" / f"{path.name}.gz"
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(gzip.compress(path.read_bytes()))

    twice = report([SAMPLES, tmp_path / "copies"], out)

    assert (twice.out / "spend.csv").read_bytes() == (sample_report.out / "spend.csv").read_bytes()
    assert twice.manifest["repeated_rows"]["left_out"] > 5
    assert_conserved(twice)


def test_a_file_given_twice_gives_the_same_totals(sample_report: Finished, out: Path, tmp_path: Path) -> None:
    parquet = tmp_path / "spend-again.parquet"
    parquet.write_bytes((SAMPLES / "litellm/spend-2025-03.parquet").read_bytes())

    twice = report([SAMPLES, parquet], out)

    assert (twice.out / "spend.csv").read_bytes() == (sample_report.out / "spend.csv").read_bytes()
    assert twice.input("spend-again.parquet")["duplicates"] + twice.input("spend-2025-03.parquet")["duplicates"] >= 10


def _has_id(line: bytes) -> bool:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and any(isinstance(record.get(key), str) for key in ("id", "request_id"))
