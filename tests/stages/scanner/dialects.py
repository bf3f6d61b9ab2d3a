"""The dialects that the scanner reads, each with some of its lines, its type and its plan."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

from callcost.logs.dialects import field_reader
from callcost.stages.columnar.learn import learn_layout
from callcost.stages.columnar.scanner.scan_plan import Plan, plan_of
from callcost.stages.columnar.schema import LITELLM, Layout, Node, litellm_layout, node_of, observe
from tests.bench.dialect_logs import LOGS
from tests.bench.logs import chats

_SAMPLE = 64


class Dialect(NamedTuple):
    """A dialect.

    Attributes:
        lines: some that it has.
        layout: what is read of them.
        node: the type that they are decoded into.
        plan: of the type.
    """

    lines: list[bytes]
    layout: Layout
    node: Node
    plan: Plan


def _chats(count: int) -> Iterator[dict[str, Any]]:
    return chats(count, usage=True)


# The dialect, and what writes its lines; those whose texts must fit a pattern are not scanned.
_WRITTEN: dict[str, tuple[str, Callable[[int], Iterator[dict[str, Any]]]]] = {
    "chats": ("litellm_standard", _chats),
    **{
        name: (name, LOGS[name])
        for name in ("litellm_spend", "openai_chat", "anthropic", "gemini", "pair", "otel", "langfuse", "claude_code")
    },
}
NAMES = tuple(_WRITTEN)


@cache
def dialect_of(name: str) -> Dialect:
    """Return one of NAMES."""
    own_name, write = _WRITTEN[name]
    records = list(write(_SAMPLE))
    layout = litellm_layout(own_name) if own_name in LITELLM else learn_layout(field_reader(own_name), records)
    assert layout is not None
    node = node_of(layout, observe(records, layout), wide=False)
    plan = plan_of(node, strict=layout.strict)
    assert plan is not None
    return Dialect([json.dumps(record).encode() for record in records], layout, node, plan)
