"""Which vocabulary and which framing a model's text is counted with: one table of families.

A row names a family by a pattern on the model's name, the vocabulary that is really the family's, and what stands in
for it where that vocabulary is not installed: a bundled one with a calibrated factor. How messages are framed stands
in rules.py under the family's name. What a model costs, and how its name is spelled elsewhere, is left to prices/
and models.py.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from typing import NamedTuple

BUNDLED = frozenset({"o200k_base", "cl100k_base", "p50k_base", "r50k_base", "claude2"})


class Family(NamedTuple):
    """One row: a pattern on the model's name, how its prompts are framed, what counts their text.

    Attributes:
        name: the family's name.
        pattern: found in the model's name, in lower case.
        framing: name of the rows in rules.py.
        vocabulary: the family's own.
        stand_in: the bundled vocabulary that counts where the own one is not installed.
        factor: thousandths of a token per token of the stand-in.
    """

    name: str
    pattern: str
    framing: str
    vocabulary: str
    stand_in: str = "o200k_base"
    factor: int = 1000


# First match wins: dated and special models stand above the family they come from.
FAMILIES = (
    Family("claude-2", r"claude-(v?[12]\b|instant)", "claude-2", "claude2"),
    Family(
        "claude-4.7", r"claude.*(opus|sonnet|haiku)-(4[.-][789]|[5-9])|fable", "claude-4.7", "claude5", "claude2", 1370
    ),
    Family("claude-4.5", r"claude.*(opus|sonnet|haiku)-4[.-][56]", "claude-4.5", "claude3", "claude2", 1022),
    Family("claude-3.5-haiku", r"claude.*3[.-]5-haiku", "claude-3.5-haiku", "claude3", "claude2", 1022),
    Family("claude-3.5-june", r"claude.*3[.-]5-sonnet.*20240620", "claude-3.5-june", "claude3", "claude2", 1022),
    Family("claude-3-haiku", r"claude.*3-haiku", "claude-3-haiku", "claude3", "claude2", 1022),
    Family("claude-3-sonnet", r"claude.*3-sonnet", "claude-3-sonnet", "claude3", "claude2", 1022),
    Family("claude-3-opus", r"claude.*3-opus", "claude-3-opus", "claude3", "claude2", 1022),
    Family("claude", r"claude", "claude", "claude3", "claude2", 1022),
    Family("gemini-3", r"gemini-([3-9]|flash|pro)", "gemini-3", "gemma3"),
    Family("gemini-2.5", r"gemini-2\.5", "gemini-2.5", "gemma3"),
    Family("gemini-2", r"gemini", "gemini-2", "gemma2"),
    Family("gemma-3", r"gemma-?3", "other", "gemma3"),
    Family("gemma-2", r"gemma", "other", "gemma2"),
    Family("gpt-oss", r"gpt-oss", "gpt-oss", "o200k_base"),
    Family("gpt-5.5", r"(^|[/.])gpt-5\.5", "gpt-5", "o200k_base"),
    Family("gpt-5.2", r"(^|[/.])gpt-5\.([2-9]|\d\d)|(^|[/.])gpt-[6-9]", "gpt-5.2", "o200k_base"),
    Family("gpt-5", r"(^|[/.])gpt-5", "gpt-5", "o200k_base"),
    Family("o-series", r"(^|[/.])o[1-9](-|$)", "o-series", "o200k_base"),
    Family("gpt-4o", r"(^|[/.])(chatgpt|gpt-4o|gpt-4\.[15])", "gpt-4", "o200k_base"),
    Family("gpt-3.5-0301", r"gpt-3\.?5-turbo-0301|gpt-4-0314", "gpt-0301", "cl100k_base"),
    Family("gpt-4-0613", r"gpt-(3\.?5-turbo(-16k)?|4(-32k)?)-0613|(^|/)gpt-4(-32k)?$", "gpt-0613", "cl100k_base"),
    Family("gpt-4", r"gpt-(3\.?5|4)|text-embedding-(3|ada)", "gpt-3.5", "cl100k_base"),
    Family("davinci", r"davinci-00[23]|code-(davinci|cushman)", "gpt-4", "p50k_base"),
    Family("gpt-3", r"(^|[/:])(text-)?(davinci|curie|babbage|ada)(-001|:|$)", "gpt-4", "r50k_base"),
    Family("llama-4", r"llama-?4", "llama-4", "llama4"),
    Family("llama-3.1", r"llama-?v?3[._p-][1-9](?!\d*b)", "llama-3.1", "llama3"),
    Family("llama-2", r"llama-?2", "llama-2", "llama2", factor=1150),
    Family("llama-3", r"llama", "llama-3", "llama3"),
    Family("mistral-old", r"mi[sx]tral-(7|8)|mistral-tiny|mixtral", "mistral-old", "mistral_v3", factor=1200),
    Family("mistral", r"mistral|ministral|magistral|codestral|devstral|pixtral", "mistral", "tekken"),
    Family("qwen-2.5", r"qwen-?2|qwq", "qwen", "qwen2.5"),
    Family("qwen-3.5", r"qwen-?3\.[5-9]", "qwen-3.5", "qwen3.5"),
    Family("qwen-3", r"qwen", "qwen", "qwen3"),
    Family("deepseek", r"deepseek", "deepseek", "deepseek"),
    Family("glm", r"glm", "glm", "glm"),
    Family("kimi", r"kimi|moonshot", "kimi", "kimi"),
    Family("sonar", r"sonar", "titan", "llama3"),
    Family("nova", r"nova-", "nova", "nova"),
    Family("titan", r"titan", "titan", "titan"),
    Family("cohere", r"command|cohere", "cohere", "cohere"),
    Family("grok", r"grok", "grok", "grok"),
    Family("jamba", r"jamba|j2-|ai21", "jamba", "jamba"),
    Family("other", r"", "other", "none"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """How one model's text is counted.

    Attributes:
        family: name of the family's row.
        framing: how its prompts are framed.
        vocabulary: what counts: the family's own where installed, else the stand-in.
        wanted: the family's own vocabulary.
        factor: thousandths of a token per token of ``vocabulary``.
        model: the model's name in lower case.
        provider: who was asked, in lower case, or "".
    """

    family: str
    framing: str
    vocabulary: str
    wanted: str
    factor: int
    model: str
    provider: str

    @property
    def native(self) -> bool:
        """Whether the text is counted with the family's own vocabulary."""
        return self.vocabulary == self.wanted


@functools.lru_cache(maxsize=4096)
def choose(
    model: str,
    provider: str | None = None,
    endpoint: str | None = None,
    available: frozenset[str] = frozenset(),
) -> Choice:
    """Return how a model's text is counted; never fails: an unknown model is the family "other".

    Args:
        model: the model's name as logged.
        provider: who was asked, if known.
        endpoint: which API, if known.
        available: vocabularies that are installed beside the bundled ones.
    """
    name = (model or "").lower()
    family = next(row for row in FAMILIES if re.search(row.pattern, name))
    own = family.vocabulary in BUNDLED or family.vocabulary in available
    return Choice(
        family=family.name,
        framing=family.framing,
        vocabulary=family.vocabulary if own else family.stand_in,
        wanted=family.vocabulary,
        factor=1000 if own else family.factor,
        model=name,
        provider=(provider or "").lower(),
    )
