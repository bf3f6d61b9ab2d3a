"""Shuffling lines, splitting files and repeating what has an id never change a total."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.command import SAMPLES, Finished, assert_conserved, read_records, report, write_lines

PLAIN_FILES = sorted(SAMPLES.rglob("*.jsonl"))
OTHER_FILES = sorted(set(SAMPLES.rglob("*.*")) - set(PLAIN_FILES))


def _kept_together(records: list[bytes]) -> list[list[bytes]]:
    """Group the chunks of one stream, which mean something only together and in order; all else stands alone."""
    groups: dict[bytes, list[bytes]] = {}
    for number, record in enumerate(records):
        stream = record.split(b'"id":"', 1)[1].split(b'"', 1)[0] if b"chat.completion.chunk" in record else b""
        groups.setdefault(stream or str(number).encode(), []).append(record)
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
