"""A text cut into blocks: the same bytes and rows, however its pieces fall."""

from __future__ import annotations

import random

import pytest

from callcost.stages.columnar import line_blocks
from callcost.stages.columnar.line_blocks import LineBlocks


@pytest.mark.parametrize("ended", [True, False])
def test_blocks_are_the_text_in_whole_lines_wherever_its_pieces_are_cut(
    monkeypatch: pytest.MonkeyPatch, *, ended: bool
) -> None:
    monkeypatch.setattr(line_blocks, "BLOCK_BYTES", 60)
    draw = random.Random(20261130)
    for _ in range(300):
        lines = [b"x" * draw.choice([0, 1, 7, 50, 200]) for _ in range(draw.randint(1, 12))]
        text = b"\n".join(lines) + (b"\n" if ended else b"x")
        cuts = sorted(draw.choices(range(1, len(text) + 1), k=draw.randint(0, 9)))
        pieces = [text[one:other] for one, other in zip([0, *cuts], [*cuts, len(text)], strict=True) if one < other]
        blocks = list(found := LineBlocks(pieces, 100, 5))
        assert b"".join(block.data for block in blocks) == text
        assert all(block.data.endswith(b"\n") for block in blocks[:-1])
        before = [text[: block.offset - 100] for block in blocks]
        assert [block.row for block in blocks] == [5 + part.count(b"\n") for part in before]
        assert found.ended
        assert (found.offset, found.row) == (100 + len(text), 5 + text.count(b"\n"))
