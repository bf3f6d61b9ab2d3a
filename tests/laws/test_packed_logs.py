"""A packed log is its plain one: at every level, in several members or frames, whatever stands between them."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from callcost.logs.io.inputs import Input
from callcost.logs.record.origin import ORIGIN
from callcost.settings import ReadOptions
from callcost.stages.columnar.stretches import read_by_columns
from callcost.stages.read import splits as pieces
from callcost.stages.read.windows import read_windows
from tests.bench.dialect_logs import LOGS
from tests.command import callcost, report, write_lines
from tests.conftest import LONG, examples

ZSTD_LEVELS = (*range(-100, 0, 9), -5, -1, 1, 3, 9, 19, 22)
GZIP_LEVELS = tuple(range(10))
SAME = ("calls.parquet", "spend.csv", "rejects.parquet")


def _time_of(chance: random.Random) -> str:
    day, second = f"2025-0{chance.randint(1, 9)}-1{chance.randint(0, 9)}", chance.randint(10, 59)
    return f"{day} 1{chance.randint(0, 9)}:20:{second}.{chance.randint(0, 999):03}"


def _text_of(chance: random.Random) -> str:
    """Return text that does not pack well, so that lines stand whole in the packed file."""
    return "".join(chance.choices("abcdefghijklmnop qrstuvwxyzäéßABCDEFGHIJ0123456789", k=chance.randint(0, 300)))


def _spend_row(chance: random.Random, name: str) -> dict[str, Any]:
    prompt, completion = (chance.randint(0, 10 ** chance.randint(1, 6)) for _ in range(2))
    stated = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {
        "request_id": name, "call_type": "acompletion", "spend": chance.random() / 10, **stated,
        "startTime": _time_of(chance), "endTime": _time_of(chance), "model": chance.choice(["gpt-4o", "gpt-4o-mini"]),
        "user": f"u-{chance.randint(0, 9)}", "metadata": {}, "custom_llm_provider": "openai",
        "session_id": _text_of(chance),
    }  # fmt: skip


def _chat_row(chance: random.Random, name: str) -> dict[str, Any]:
    """Return a row of LiteLLM whose usage is to be counted."""
    said, answer = ({"role": role, "content": _text_of(chance)} for role in ("user", "assistant"))
    counts = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    return _spend_row(chance, name) | counts | {"messages": [said], "response": {"choices": [{"message": answer}]}}


def _plain_row(chance: random.Random, name: str) -> dict[str, Any]:
    usage = {"prompt_tokens": chance.randint(0, 90_000), "completion_tokens": chance.randint(0, 9_000)}
    said = {"messages": [{"role": "user", "content": _text_of(chance)}], "response": _text_of(chance)}
    stated = {"usage": usage} if chance.random() < 0.5 else {}
    return {"id": name, "model": "gpt-4o", "user": "ana", "timestamp": _time_of(chance), **said, **stated}


def _completion(chance: random.Random, name: str) -> dict[str, Any]:
    return {
        "id": name, "object": "chat.completion", "model": "gpt-4o",
        "created": chance.randint(1_730_000_000, 1_760_000_000),
        "choices": [{"index": 0, "message": {"role": "assistant", "content": _text_of(chance)}}],
        "usage": {"prompt_tokens": chance.randint(0, 90_000), "completion_tokens": chance.randint(0, 9_000)},
    }  # fmt: skip


def _lines(seed: int, size: int) -> bytes:
    """Return lines of one dialect or of several, in which ids come again and a few lines are no records."""
    chance = random.Random(seed)
    makers = chance.choice([[_spend_row], [_spend_row, _chat_row], [_plain_row], [_completion, _plain_row, _spend_row]])
    rows: list[bytes] = []
    for number in range(size):
        row = chance.choice(makers)(chance, f"r-{number if chance.random() < 0.8 else chance.randint(0, size)}")
        data = json.dumps(row, ensure_ascii=chance.random() < 0.5).encode()
        rows += [chance.choice(rows)] if rows and chance.random() < 0.1 else [data]
        if chance.random() < 0.03:
            rows.append(chance.choice([b"", b"{", b'{"cut": "' + data[:50], b"\xff\xfe"]))
    return b"\n".join(rows) + b"\n" * chance.randint(0, 1)


def _gzip(data: bytes, level: int, chance: random.Random) -> bytes:
    held = io.BytesIO()
    with gzip.GzipFile(filename=chance.choice(["", "log.jsonl"]), mode="wb", compresslevel=level, fileobj=held) as file:
        file.write(data)
    return held.getvalue()


def _zstd(data: bytes, level: int, chance: random.Random) -> bytes:
    frame = zstandard.ZstdCompressor(level=level, write_content_size=chance.random() < 0.5).compress(data)
    left_out = chance.randbytes(chance.randint(0, 60))  # in a frame that readers pass over
    skipped = bytes([0x50 + chance.randint(0, 15)]) + b"\x2a\x4d\x18" + len(left_out).to_bytes(4, "little") + left_out
    return skipped + frame if chance.random() < 0.3 else frame


Packer = Callable[[bytes, int, random.Random], bytes]
KINDS: dict[str, tuple[Packer, Sequence[int]]] = {"gzip": (_gzip, GZIP_LEVELS), "zstd": (_zstd, ZSTD_LEVELS)}


def _packed(data: bytes, kind: str, levels: Sequence[int], seed: int) -> bytes:
    """Pack parts of a log one after the other, each at its level; some of them are empty."""
    chance, (pack, _) = random.Random(seed), KINDS[kind]
    edges = sorted(chance.randint(0, len(data)) for _ in levels[1:])
    parts = [data[start:end] for start, end in itertools.pairwise([0, *edges, len(data)])]
    if chance.random() < 0.3:
        parts.insert(chance.randint(0, len(parts)), b"")
    return b"".join(pack(part, levels[number % len(levels)], chance) for number, part in enumerate(parts))


def _reported(log: bytes) -> tuple[dict[str, int], *tuple[bytes, ...]]:
    """Return the records, calls, rejects and money of a log, to the byte."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "log.jsonl")
        path.write_bytes(log)
        found = report([path], Path(folder, "out"), "--calls", "--format", "csv")
        return (found.records, *((found.out / name).read_bytes() for name in SAME))


@pytest.fixture(scope="module")
def plain(columns_for_all: None) -> tuple[bytes, Any]:
    """A log and its report."""
    log = _lines(1, 120)
    return log, _reported(log)


@pytest.mark.parametrize(("kind", "level"), [(kind, level) for kind, (_, levels) in KINDS.items() for level in levels])
def test_a_log_packed_at_any_level_reports_as_its_plain_one(kind: str, level: int, plain: tuple[bytes, Any]) -> None:
    log, reported = plain
    assert _reported(_packed(log, kind, [level], level)) == reported


@st.composite
def packings(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A log and how it is packed."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    levels = draw(st.lists(st.sampled_from(KINDS[kind][1]), min_size=1, max_size=5))
    plain = _lines(draw(st.integers(0, 2**32)), draw(st.integers(1, 200 if LONG else 60)))
    return plain, _packed(plain, kind, levels, draw(st.integers(0, 2**32)))


@pytest.mark.usefixtures("columns_for_all")
@examples(15, 300)
@given(packings())
def test_members_and_frames_of_any_levels_report_as_the_plain_log(made: tuple[bytes, bytes]) -> None:
    plain, packed = made
    assert _reported(packed) == _reported(plain)


@pytest.mark.parametrize("kind", ["plain", *KINDS])
def test_how_large_a_log_is_unpacked_says_whether_its_dialect_is_learned(kind: str, tmp_path: Path) -> None:
    text = b"".join(json.dumps(record).encode() + b"\n" for record in LOGS["openai_chat"](900))
    pack, levels = KINDS.get(kind, (lambda data, *_: data, [0]))
    log = tmp_path / "log"
    log.write_bytes(pack(text, levels[-1], random.Random(1)))
    (piece,) = pieces.cut_inputs([Input(path=str(log), name="log", bytes=log.stat().st_size)])
    windows = list(read_windows(piece, ReadOptions(), read_by_columns))
    assert sum(len(facts) for window in windows for facts in window.facts) == 900


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_packed_log_is_cut(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", 4_000)
    for seed in range(8):
        pack, levels = KINDS[kind]
        data = _lines(seed, 120)
        skipped = b"\x50\x2a\x4d\x18\x00\x00\x00\x00" if kind == "zstd" else b""
        (tmp_path / "log").write_bytes(skipped + pack(data, levels[0], random.Random(seed)))
        (source,) = pieces.cut_inputs([Input(path=str(tmp_path / "log"), name="log", bytes=90_000)])
        assert source.whole
        assert pieces.halve_piece(source) is None


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_packed_log_is_filled_and_explained_as_its_plain_one(kind: str, tmp_path: Path) -> None:
    pack, levels = KINDS[kind]
    rows = [_plain_row(random.Random(number), f"r-{number}") for number in range(40)]
    plain = write_lines(tmp_path / "plain.jsonl", rows).read_bytes()
    skipped = b"\x5f\x2a\x4d\x18\x00\x00\x00\x00" if kind == "zstd" else b""
    (tmp_path / "log").write_bytes(skipped + pack(plain, levels[0], random.Random(1)))
    assert callcost("backfill", tmp_path / "log", "--out", tmp_path / "filled").code == 0
    filled = (tmp_path / "filled" / "log").read_bytes()
    assert filled[:2] == {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5"}[kind]  # packed as it was
    assert callcost("backfill", tmp_path / "plain.jsonl", "--out", tmp_path / "other").code == 0
    assert _unpacked(filled, kind) == (tmp_path / "other" / "plain.jsonl").read_bytes()
    assert ORIGIN.encode() in _unpacked(filled, kind)
    shown = [callcost("explain", tmp_path / name, "--call", "r-7").stdout for name in ("plain.jsonl", "log")]
    assert shown[0].replace("plain.jsonl", "log") == shown[1]


def _unpacked(data: bytes, kind: str) -> bytes:
    return gzip.decompress(data) if kind == "gzip" else b"".join(_frames(data))


def _frames(data: bytes) -> Iterator[bytes]:
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as stream:
        yield stream.read()
