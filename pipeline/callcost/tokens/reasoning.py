"""Which models reason, when, and whether an answer shows that: one row per line of models.

Reasoning is billed as output. Shown text is counted (framing/messages.py), what is sealed by the length of its seal;
where neither is there, the tokens of the answer are too few, and a call must say so. What the other calls of a log say
about them is for stages/count/hidden_reasoning.py.
"""

from __future__ import annotations

import functools
import re
from typing import Any, NamedTuple

from callcost.tokens.model_families import Choice, shows_thoughts
from callcost.tokens.requests.bodies import read_answer
from callcost.tokens.requests.types import TEXT, THOUGHT

# Never; only where the request asks for it; unless the request switches it off; where the answer has a block of it.
NEVER, ASKED, ALWAYS, BLOCKS = "never", "asked", "always", "blocks"
OFF = frozenset({"none", "0", "off", "disabled", "false"})  # of efforts
_THINK_END = "</think>"  # open models write what they think into the text


class Line(NamedTuple):
    """One row: when the models reason whose lower-case names a pattern is found in."""

    pattern: str
    when: str


# First match wins; what has no row reasons where it is asked to. Sources: platform.openai.com/docs/guides/reasoning and
# .../models (gpt-5.1 to 5.4 do not reason by default, their pro and codex models do; gpt-5-chat never does),
# ai.google.dev/gemini-api/docs/thinking (2.5 Pro and Flash and 3 think by default, the Lite models do not),
# docs.x.ai/docs/guides/reasoning, api-docs.deepseek.com/guides/reasoning_model, github.com/openai/gpt-oss. Claude's
# answers have a block wherever it thought: platform.claude.com/docs/en/build-with-claude/extended-thinking.
LINES = (
    Line(r"claude", BLOCKS),
    Line(r"gpt-oss", ALWAYS),
    Line(r"gpt-5-(chat|image)|gpt-(3|4)|chatgpt|embedding|non-reasoning", NEVER),
    Line(r"(^|[/.])o[1-9](-|$)|codex|gpt-\d+(\.\d+)?-pro", ALWAYS),
    Line(r"gpt-5[.-][1-4](?!\d)", ASKED),
    Line(r"gpt-([5-9]|\d\d)", ALWAYS),
    Line(r"gemini-.*flash-lite|gemini-2\.5-flash-image|gemini-(1|2\.0)(?!.*thinking)", ASKED),
    Line(r"gemini-(2|[3-9]|flash|pro)", ALWAYS),
    Line(r"grok-(3-mini|4|[5-9]|code|build)", ALWAYS),
    Line(r"deepseek.*(r1|reasoner)|qwq|magistral|thinking|sonar-(reasoning|deep)|minimax-m", ALWAYS),
)


@functools.lru_cache(maxsize=4096)
def may_reason(model: str, effort: str | None) -> bool:
    """Say whether a model may have reasoned, before its answer is looked at.

    Args:
        model: its name, in lower case.
        effort: how much the request asks for, as it says so; None: it does not.
    """
    asked = effort is not None and effort.lower() not in OFF
    when = next((line.when for line in LINES if re.search(line.pattern, model)), ASKED)
    return when != NEVER and (asked or when == BLOCKS or (when == ALWAYS and effort is None))


def hides_reasoning(choice: Choice, api: str, effort: str | None, response: Any) -> bool:
    """Say whether an answer took reasoning that neither its text nor the length of a seal tells.

    Args:
        choice: how the model's text is counted.
        api: "chat" or "responses"; the items of Responses tell where a model reasoned.
        effort: see may_reason.
        response: the provider's body, or the output text.
    """
    if not may_reason(choice.model, effort):
        return False
    answer = read_answer(response)
    if answer.encrypted >= LEAST_SEAL and seal_of(choice, api) is not None:
        return False
    if shows_thoughts(choice):  # a whole body shows what there was
        texts = [block.text for blocks in answer.alternatives for block in blocks if block.kind in (TEXT, THOUGHT)]
        return type(response) is not dict and not any(_THINK_END in text for text in texts)
    return bool(answer.thoughts) if api == "responses" or "claude" in choice.model else True


class Seal(NamedTuple):
    """How many tokens of reasoning a seal stands for, by its length.

    Attributes:
        each: thousandths of a token per character.
        less: tokens fewer for the whole.
    """

    each: int
    less: int


# By framing and API. Fitted on 2026-11-30 on recorded answers; what is said of each is of repositories whose answers
# the law was not fitted on: calls, repositories, median error, error of the sum.
SEALS = {
    ("gpt-5", "responses"): Seal(161, 155),  # of whole answers: 3 repositories, 3 %
    ("gemini-2.5", "chat"): Seal(188, 12),  # of the reasoning: 455, 11, 9 %, -1 %
    ("gemini-3", "chat"): Seal(198, 16),  # of the reasoning: 425, 11, 13 %, -18 %
    ("claude", "chat"): Seal(188, 37),  # of whole answers, with the next: 175, 11, 14 %, -23 % (unread -60 %)
    ("claude-4.5", "chat"): Seal(188, 37),
    ("claude-4.7", "chat"): Seal(209, 73),  # of whole answers: 25, 4, 5 %, -16 %
}
LEAST_SEAL = 64  # characters; what is shorter stands in the place of a seal that was taken out


def seal_of(choice: Choice, api: str) -> Seal | None:
    """Return how the seals of a model's reasoning are read; None: nobody knows."""
    unread = shows_thoughts(choice) or "-image" in choice.model  # a seal holds the thoughts' pictures, too
    return None if unread else SEALS.get((choice.framing, api))
