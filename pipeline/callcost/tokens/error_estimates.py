"""How far a count can be trusted: what counts of its kind have shown on recorded calls.

A kind is a family's framing, the API, the provider and the shape of the prompt or answer; the table of promises has how
many recorded calls of it there were, in how many repositories, how many came out exact, and the relative error that
covers nine of ten calls of repositories that it was not made from. ``exact`` is claimed only of a line of models at a
provider whose counts of that shape were exact on 97 % of calls, in two repositories at least, and on 90 % in any; a
kind without recordings is estimated. ``python -m tests.bench.counting`` makes the table, and checks it on repositories
that are left out.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from callcost.data_folders import data_dir
from callcost.tokens.frame import CALIBRATED, ESTIMATED, EXACT
from callcost.tokens.model_families import Choice, shows_thoughts
from callcost.tokens.requests.types import CALL, RESULT, THOUGHT, UNREAD, Answer, Prompt


class Promise(NamedTuple):
    """One row of the table: recorded sides of a kind, their repositories, the share counted exactly, and the error."""

    sides: int
    repositories: int
    exact: float
    error: float


MAX_CALIBRATED = 0.35  # a wider interval is an estimate
UNKNOWN = 0.5
HEAD = """\
# What counts are worth, by kind: sides of recorded calls, repositories, share counted exactly, relative error.
# "=" is a line of models of which exact may be said, "~" a family counted with a stand-in vocabulary.
# Made by python -m tests.bench.counting on {date} from {calls} sides.
"""
_DATED = re.compile(r"(-(\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|\d{3}|latest))?([:@].*)?$")
# A framing with too few calls of a kind is judged by its neighbours' as well.
GROUPS = {
    "gpt-0301": "gpt-4", "gpt-0613": "gpt-4", "gpt-3.5": "gpt-4", "gpt-4-search": "gpt-4", "gpt-5.2": "gpt-5",
    "gpt-5-chat": "gpt-5",
    "llama-2": "llama", "llama-3": "llama", "llama-3.1": "llama", "llama-4": "llama", "llama-guard": "llama",
    "mistral-old": "mistral", "qwen-3": "qwen", "qwen-3.5": "qwen", "deepseek-v3": "deepseek",
    "claude-3-haiku": "claude", "claude-3-sonnet": "claude", "claude-3-opus": "claude", "claude-3.5-haiku": "claude",
    "claude-3.5-june": "claude", "claude-4.5": "claude", "claude-4.7": "claude",
    "grok-2": "grok", "grok-3": "grok", "grok-4": "grok", "grok-code": "grok",
}  # fmt: skip


def shape_of_prompt(prompt: Prompt) -> str:
    """Return the shape that decides how well a prompt can be counted; the hardest part names it."""
    blocks = [block for message in prompt.messages for block in message.blocks]
    kinds = {block.kind for block in blocks}
    signs = (
        ("unread", prompt.partial or UNREAD in kinds),
        ("text", bool(prompt.texts or prompt.tokens)),
        ("encrypted", THOUGHT in kinds or any(block.encrypted for block in blocks)),
        ("media", any(block.media for block in blocks)),
        ("history", CALL in kinds or RESULT in kinds),
        ("form", prompt.form is not None and prompt.form.schema is not None),
        ("tools", bool(prompt.tools)),
    )
    return next((name for name, seen in signs if seen), "plain")


def shape_of_answer(answer: Answer, asked: Prompt, choice: Choice) -> str:
    """Return the shape of an answer.

    Args:
        answer: the answer.
        asked: what the request offered: where the answer may end at a text, what ended it is billed and not shown.
        choice: how it is counted.
    """
    kinds = {block.kind for blocks in answer.alternatives for block in blocks}
    shown = any(block.text for block in answer.thoughts)
    signs = (("thoughts", shown and shows_thoughts(choice)), ("sealed", answer.encrypted), ("summary", shown))
    if reasoned := next((name for name, seen in signs if seen), ""):
        return f"answer.{reasoned}"
    if asked.stops and UNREAD not in kinds:
        return "answer.stopped"
    return next((f"answer.{name}" for name, kind in _SIGNS_OF_ANSWERS if kind in kinds), "answer.text")


_SIGNS_OF_ANSWERS = (("unread", UNREAD), ("calls", CALL))


def kinds_of(choice: Choice, api: str, shape: str) -> Iterator[str]:
    """Yield the kinds of a side: its line of models, then ever wider ones."""
    sign = "" if choice.native else "~"
    if choice.native:
        yield f"={_DATED.sub('', choice.model.rpartition('/')[2])}.{api}.{choice.provider}.{shape}"
    group = GROUPS.get(choice.framing, choice.framing)
    for name in dict.fromkeys((choice.framing, group)):
        yield f"{sign}{name}.{api}.{choice.provider}.{shape}"
        yield f"{sign}{name}.{api}.{shape}"
        yield f"{sign}{name}.{shape}"
    yield f"{sign}{group}"


def judge(table: Mapping[str, Promise], choice: Choice, api: str, shape: str) -> tuple[str, float]:
    """Return how a count was made and its expected relative error, by a table of promises."""
    kind = next((kind for kind in kinds_of(choice, api, shape) if kind in table), None)
    if kind is None:
        return ESTIMATED, UNKNOWN
    error = table[kind].error
    return (EXACT if kind.startswith("=") else CALIBRATED if error <= MAX_CALIBRATED else ESTIMATED), error


@functools.lru_cache(maxsize=4096)
def estimate_error(choice: Choice, api: str, shape: str) -> tuple[str, float]:
    """Return how a count was made and its expected relative error; one of few tokens has a wider one (frame.py).

    Args:
        choice: how the model's text is counted.
        api: "chat" or "responses".
        shape: shape of the prompt or the answer, as the two functions above name it.
    """
    return judge(promises(), choice, api, shape)


@functools.cache
def promises() -> Mapping[str, Promise]:
    """Return the table of promises that the package carries."""
    text = (data_dir() / "counting" / "promises.tsv").read_text(encoding="utf-8")
    return dict(map(_read_row, (line for line in text.splitlines() if not line.startswith("#"))))


def _read_row(line: str) -> tuple[str, Promise]:
    kind, sides, repositories, exact, error = line.split("\t")
    return kind, Promise(int(sides), int(repositories), float(exact), float(error))


def write_row(kind: str, promise: Promise) -> str:
    """Return a line of the table."""
    return f"{kind}\t{promise.sides}\t{promise.repositories}\t{promise.exact:.3f}\t{promise.error:g}\n"
