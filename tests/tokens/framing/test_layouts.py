"""Every row of every layout: what conversations of each shape come to, pinned figure by figure.

The conversations stand in tests/cases/framing/conversations.json. expected.json holds, for each model, API and shape,
six figures: thousandths of a token beside the texts, tokens in all and characters of the texts, first of the prompt,
then of the answer. A rule that is changed on purpose changes its figures there: a failure shows what is found now.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from callcost.tokens.frame import Frame, day
from callcost.tokens.framing.answers import ANSWER_LAYOUTS
from callcost.tokens.framing.gemini import GEMINI_LAYOUTS
from callcost.tokens.framing.messages import frame_completion, frame_prompt
from callcost.tokens.framing.openai_layouts import LAYOUTS
from callcost.tokens.framing.turns import TURN_LAYOUTS
from callcost.tokens.model_families import choose
from tests.tokens.counted import count

CASES = Path(__file__).parents[2] / "cases" / "framing"
CONVERSATIONS = json.loads((CASES / "conversations.json").read_text("utf-8"))
EXPECTED = json.loads((CASES / "expected.json").read_text("utf-8"))


def figures_of(model: str, api: str, provider: str, at: str) -> dict[str, list[int | None]]:
    """Return what the conversations of one API come to."""
    choice = choose(model, provider or None, api)
    moment = day(at) if at else None
    found = {}
    for name, body in CONVERSATIONS[api].items():
        prompt = frame_prompt(choice, api, body["request"], body["response"], moment)
        answer = frame_completion(choice, api, body["response"], body["request"], moment)
        found[name] = [figure for frame in (prompt, answer) for figure in measure(frame)]
    return found


def measure(frame: Frame | None) -> list[int | None]:
    """Return the constant, the tokens in all and the characters of a frame's texts."""
    return [frame.constant, count(frame), len("".join(frame.texts))] if frame else [None] * 3


@pytest.mark.parametrize("key", EXPECTED)
def test_each_shape_comes_to_its_figures(key: str) -> None:
    found = figures_of(*key.split(","))
    assert found == EXPECTED[key], json.dumps(found)


def test_a_day_begins_at_midnight_utc_in_microseconds() -> None:
    assert day("2025-03-18") == 1_742_256_000_000_000


def test_no_layout_is_left_out() -> None:
    places = [key.split(",") for key in EXPECTED]
    framings = {(choose(model, provider or None, api).framing, api) for model, api, provider, _ in places}
    assert framings >= LAYOUTS.keys() | ANSWER_LAYOUTS.keys()
    assert framings >= {(framing, "chat") for framing in TURN_LAYOUTS}
    assert framings >= {(framing, "gemini") for framing in GEMINI_LAYOUTS}
