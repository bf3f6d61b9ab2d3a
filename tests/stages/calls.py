"""Calls built by hand."""

from __future__ import annotations

from callcost.tables import Call, Usage

DAY = 86_400_000_000


def make_call(row: int, **fields: object) -> Call:
    total = fields.pop("total", 10)
    defaults: dict[str, object] = {
        "source_format": "plain",
        "family": "plain",
        "model": "gpt-4o",
        "started_at": 0,
        "source_file": "a.jsonl",
        "source_row": row,
        "record": row,
        "record_digest": row.to_bytes(16, "big"),
        "usage": Usage(prompt_tokens=total, completion_tokens=0, total_tokens=total),  # type: ignore[arg-type]
    }
    return Call(**(defaults | fields))  # type: ignore[arg-type]
