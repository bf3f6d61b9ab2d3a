"""How far a count can be trusted: what counts of its kind have shown on recorded calls.

A kind is a family's framing, the API, and the shape of the prompt or answer. Its row holds how many recorded calls of
that kind there were, how many of them came out exact, and the relative error that nine of ten stayed within (with a
margin). ``exact`` is claimed for kinds that are exact on nine of ten calls at least; a kind without recordings is
estimated.
"""

from __future__ import annotations

from typing import NamedTuple

from callcost.tokens.frame import CALIBRATED, ESTIMATED, EXACT
from callcost.tokens.model_families import Choice
from callcost.tokens.requests.types import CALL, RESULT, THOUGHT, Answer, Prompt


class Measurement(NamedTuple):
    """One row: recorded calls of a kind, the share of them counted exactly, and the error that nine of ten kept."""

    calls: int
    exact: float
    error: float


MIN_CALLS = 10  # fewer do not make a rate
MIN_EXACT = 0.9
MAX_CALIBRATED = 0.35  # a wider interval is an estimate
UNKNOWN = 0.5
# A framing with too few calls of a kind is judged by its neighbours' as well.
GROUPS = {
    "gpt-0301": "gpt-4", "gpt-0613": "gpt-4", "gpt-3.5": "gpt-4", "gpt-5.2": "gpt-5", "llama-2": "llama",
    "llama-3": "llama", "llama-3.1": "llama", "llama-4": "llama", "mistral-old": "mistral", "qwen-3.5": "qwen",
    "claude-3-haiku": "claude", "claude-3-sonnet": "claude", "claude-3-opus": "claude", "claude-3.5-haiku": "claude",
    "claude-3.5-june": "claude", "claude-4.5": "claude",
}  # fmt: skip


def shape_of_prompt(prompt: Prompt) -> str:
    """Return the shape that decides how well a prompt can be counted; the hardest part names it."""
    blocks = [block for message in prompt.messages for block in message.blocks]
    kinds = {block.kind for block in blocks}
    signs = (
        ("text", bool(prompt.texts or prompt.tokens)),
        ("encrypted", THOUGHT in kinds or any(block.encrypted for block in blocks)),
        ("media", any(block.media for block in blocks)),
        ("history", CALL in kinds or RESULT in kinds),
        ("form", prompt.form is not None and prompt.form.schema is not None),
        ("tools", bool(prompt.tools)),
    )
    return next((name for name, seen in signs if seen), "plain")


def shape_of_answer(answer: Answer) -> str:
    """Return the shape of an answer."""
    calls = any(block.kind == CALL for blocks in answer.alternatives for block in blocks)
    return "answer.calls" if calls else "answer.text"


def estimate_error(choice: Choice, api: str, shape: str) -> tuple[str, float]:
    """Return how a count was made and its expected relative error.

    Args:
        choice: how the model's text is counted.
        api: "chat" or "responses".
        shape: shape of the prompt or the answer, as the two functions above name it.
    """
    sign = "" if choice.native else "~"
    names = [sign + choice.framing, sign + GROUPS.get(choice.framing, choice.framing)]
    found = (MEASUREMENTS.get(key) for name in names for key in (f"{name}.{api}.{shape}", f"{name}.{shape}"))
    row = next((row for row in found if row and row.calls >= MIN_CALLS), None)
    if row is None:
        return ESTIMATED, max(UNKNOWN, MEASUREMENTS[names[1]].error if names[1] in MEASUREMENTS else 0.0)
    if row.exact >= MIN_EXACT and choice.native:
        return EXACT, row.error
    return (CALIBRATED if row.error <= MAX_CALIBRATED else ESTIMATED), row.error


def _read_rows(text: str) -> dict[str, Measurement]:
    rows = (line.split() for line in text.strip().splitlines())
    return {kind: Measurement(int(calls), float(exact), float(error)) for kind, calls, exact, error in rows}


# kind, recorded calls, share counted exactly, error; "~" is a family counted with a stand-in vocabulary.
MEASUREMENTS = _read_rows("""
claude-2 5 0.00 1.0
deepseek 59 0.36 0.4
deepseek.chat.answer.text 16 0.81 0.4
deepseek.chat.history 11 0.00 0.5
gemini-2 205 0.82 0.05
gemini-2.5 262 0.89 0.08
gemini-2.5.chat.answer.text 41 0.83 0.08
gemini-2.5.chat.form 21 1.00 0.01
gemini-2.5.chat.history 27 0.96 0.01
gemini-2.5.chat.media 11 0.73 1.0
gemini-2.5.chat.plain 61 1.00 0.01
gemini-2.5.chat.encrypted 45 0.60 1.5
gemini-2.5.chat.tools 51 1.00 0.01
gemini-2.chat.answer.calls 37 0.97 0.01
gemini-2.chat.answer.text 63 0.86 0.005
gemini-2.chat.form 10 0.50 0.4
gemini-2.chat.history 34 0.82 0.005
gemini-2.chat.plain 27 0.78 0.25
gemini-2.chat.tools 30 0.77 0.12
gemini-3 66 0.68 0.15
gemini-3.chat.form 13 1.00 0.01
gemini-3.chat.plain 11 1.00 0.01
gemini-3.chat.encrypted 19 0.05 0.2
gemini-3.chat.tools 17 1.00 0.01
gpt-0613.chat.answer.text 21 1.00 0.01
gpt-0613.chat.plain 19 1.00 0.01
gpt-0613.chat.tools 10 0.50 0.2
gpt-3.5.chat.answer.calls 18 0.83 1.0
gpt-3.5.chat.answer.text 76 0.96 0.01
gpt-3.5.chat.plain 27 0.85 0.08
gpt-3.5.chat.tools 17 0.65 1.0
gpt-3.5.text 83 0.96 0.01
gpt-4 2784 0.93 0.01
gpt-4.chat.answer.calls 169 0.95 0.01
gpt-4.chat.answer.text 652 0.88 0.08
gpt-4.chat.form 82 0.99 0.01
gpt-4.chat.history 230 0.97 0.01
gpt-4.chat.media 23 0.43 2.0
gpt-4.chat.plain 310 0.95 0.01
gpt-4.chat.tools 138 0.91 0.01
gpt-4.responses.answer.calls 131 0.96 0.01
gpt-4.responses.answer.text 392 0.97 0.01
gpt-4.responses.form 53 1.00 0.01
gpt-4.responses.history 257 0.95 0.01
gpt-4.responses.media 31 0.13 1.0
gpt-4.responses.plain 112 1.00 0.01
gpt-4.responses.tools 101 0.98 0.01
gpt-4.text 103 0.96 0.01
gpt-5 1094 0.95 0.01
gpt-5.2.chat.answer.calls 16 1.00 0.01
gpt-5.2.chat.answer.text 31 0.97 0.01
gpt-5.2.chat.history 18 1.00 0.01
gpt-5.2.chat.plain 13 1.00 0.01
gpt-5.2.chat.tools 12 1.00 0.01
gpt-5.2.responses.answer.calls 108 1.00 0.01
gpt-5.2.responses.answer.text 249 1.00 0.01
gpt-5.2.responses.form 79 1.00 0.01
gpt-5.2.responses.history 132 1.00 0.01
gpt-5.2.responses.media 22 0.09 1.0
gpt-5.2.responses.plain 68 0.99 0.01
gpt-5.2.responses.tools 90 1.00 0.01
gpt-5.chat.answer.calls 17 1.00 0.01
gpt-5.chat.answer.text 41 0.83 0.7
gpt-5.chat.form 38 1.00 0.01
gpt-5.chat.history 64 1.00 0.01
gpt-5.chat.media 12 0.25 1.5
gpt-5.chat.plain 53 1.00 0.01
gpt-5.chat.tools 37 0.97 0.01
gpt-5.responses.answer.calls 110 1.00 0.01
gpt-5.responses.answer.text 257 1.00 0.01
gpt-5.responses.form 83 1.00 0.01
gpt-5.responses.history 138 1.00 0.01
gpt-5.responses.media 23 0.09 1.0
gpt-5.responses.plain 93 0.99 0.01
gpt-5.responses.encrypted 28 0.54 1.0
gpt-5.responses.tools 100 0.99 0.01
gpt-oss 9 0.00 0.4
llama 44 0.68 1.5
llama-3.1.chat.answer.text 16 0.94 0.01
llama-3.1.chat.plain 11 0.82 0.02
llama.chat.answer.text 21 0.86 0.08
llama.chat.plain 14 0.71 0.25
mistral 46 0.61 0.4
mistral.chat.answer.text 18 0.83 0.25
mistral.chat.plain 10 1.00 0.01
o-series 6 0.83 0.15
other 2 0.00 0.12
qwen 6 0.50 0.7
~claude 1332 0.29 0.2
~claude-3-opus.chat.answer.text 24 0.42 0.3
~claude-3-opus.chat.plain 18 0.33 0.15
~claude-3.5-june.chat.answer.text 18 0.22 0.08
~claude-3.5-june.chat.plain 19 0.42 0.08
~claude-4.5.chat.answer.calls 101 0.25 0.15
~claude-4.5.chat.answer.text 231 0.35 0.25
~claude-4.5.chat.form 28 0.04 0.08
~claude-4.5.chat.history 130 0.16 0.02
~claude-4.5.chat.media 35 0.06 0.02
~claude-4.5.chat.plain 121 0.49 0.08
~claude-4.5.chat.tools 61 0.16 0.02
~claude-4.7 44 0.00 0.3
~claude-4.7.chat.answer.text 10 0.00 0.3
~claude-4.7.chat.plain 15 0.00 0.2
~claude.chat.answer.calls 203 0.24 0.25
~claude.chat.answer.text 422 0.36 0.25
~claude.chat.form 28 0.04 0.08
~claude.chat.history 231 0.16 0.02
~claude.chat.media 51 0.14 0.02
~claude.chat.plain 251 0.42 0.1
~claude.chat.encrypted 18 0.00 0.1
~claude.chat.tools 128 0.22 0.03
~cohere 15 0.27 1.5
~deepseek 59 0.34 0.5
~deepseek.chat.answer.text 16 0.69 1.5
~deepseek.chat.history 11 0.00 0.5
~gemini-2 205 0.22 0.5
~gemini-2.5 262 0.27 0.7
~gemini-2.5.chat.answer.text 41 0.54 0.25
~gemini-2.5.chat.form 21 0.24 0.2
~gemini-2.5.chat.history 27 0.00 0.2
~gemini-2.5.chat.media 11 0.45 1.0
~gemini-2.5.chat.plain 61 0.61 0.08
~gemini-2.5.chat.encrypted 45 0.02 1.5
~gemini-2.5.chat.tools 51 0.02 0.15
~gemini-2.chat.answer.calls 37 0.05 0.7
~gemini-2.chat.answer.text 63 0.35 0.12
~gemini-2.chat.form 10 0.20 0.4
~gemini-2.chat.history 34 0.03 0.25
~gemini-2.chat.plain 27 0.56 0.2
~gemini-2.chat.tools 30 0.13 0.2
~gemini-3 66 0.29 0.2
~gemini-3.chat.form 13 0.46 0.2
~gemini-3.chat.plain 11 0.64 0.1
~gemini-3.chat.encrypted 19 0.05 0.25
~gemini-3.chat.tools 17 0.12 0.15
~jamba 6 0.33 0.5
~kimi 12 0.17 0.25
~llama 63 0.59 0.7
~llama-3.1.chat.answer.text 16 0.94 0.01
~llama-3.1.chat.plain 11 0.82 0.02
~llama.chat.answer.text 27 0.81 0.08
~llama.chat.plain 18 0.78 0.25
~mistral 50 0.26 0.4
~mistral.chat.answer.text 20 0.50 0.4
~mistral.chat.plain 12 0.25 0.12
~nova 36 0.19 0.2
~nova.chat.answer.text 11 0.18 0.7
~other 9 0.11 0.4
~qwen 6 0.50 0.7
~titan 18 0.56 0.12
""")
