"""Which vocabulary and which framing a model's text is counted with: one table of families.

A row names a family by a pattern on the model's name, the vocabulary that is really the family's, and what stands in
for it where that vocabulary is not installed: a bundled one with a calibrated factor. How messages are framed stands
under the framing's name in openai_layouts.py, gemini.py and turns.py. What a model costs, and how its name is spelled
elsewhere, is left to prices/ and models.py.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from typing import NamedTuple

BUNDLED = frozenset({
    "o200k_base", "cl100k_base", "p50k_base", "r50k_base", "claude2", "tekken", "gemma3_ranks",
})  # fmt: skip


class StandIn(NamedTuple):
    """A bundled vocabulary in the place of one that is not installed.

    Attributes:
        vocabulary: name of the bundled vocabulary that counts.
        factor: thousandths of a token per token of it.
        corrections: what else it gets wrong; a key of vocabulary_corrections.py's table.
    """

    vocabulary: str
    factor: int = 1000
    corrections: str = ""


class Family(NamedTuple):
    """One row: a pattern on the model's name, how its prompts are framed, what counts their text.

    Attributes:
        name: name of the family.
        pattern: regular expression that is found in the lower-case names of the family's models.
        framing: name of its rows in openai_layouts.py, gemini.py or turns.py.
        vocabulary: name of the family's own vocabulary; one that nobody publishes is never installed.
        stand_in: what counts where the own vocabulary is not installed.
    """

    name: str
    pattern: str
    framing: str
    vocabulary: str
    stand_in: StandIn = StandIn("o200k_base")


CLAUDE_3 = StandIn("claude2", 1022, "claude")
CLAUDE_5 = StandIn("claude2", 1370)
GEMMA = StandIn("gemma3_ranks")  # the counts of Gemma 3 but for characters that it does not know
LLAMA = StandIn("cl100k_base", corrections="llama")
QWEN = StandIn("cl100k_base", corrections="qwen")
QWEN_3_5 = StandIn("cl100k_base", corrections="qwen-3.5")
DEEPSEEK = StandIn("cl100k_base", 1010, "deepseek")
GLM = StandIn("cl100k_base", corrections="glm")
SENTENCEPIECE_32K = StandIn("cl100k_base", 1180)  # Llama 2's and Mistral's first vocabularies

# First match wins: dated and special models stand above the family they come from.
FAMILIES = (
    Family("claude-2", r"claude-(v?[12]\b|instant)", "claude-2", "claude2"),
    Family("claude-4.7", r"claude.*(4[.-][789](?!\d)|(us|et|ku)-[5-9])|fable", "claude-4.7", "claude5", CLAUDE_5),
    Family("claude-4.5", r"claude.*[^\d]4[.-][56](?!\d)", "claude-4.5", "claude3", CLAUDE_3),
    Family("claude-3.5-haiku", r"claude.*3[.-]5-haiku", "claude-3.5-haiku", "claude3", CLAUDE_3),
    Family("claude-3.5-june", r"claude.*3[.-]5-sonnet.*20240620", "claude-3.5-june", "claude3", CLAUDE_3),
    Family("claude-3-haiku", r"claude.*3-haiku", "claude-3-haiku", "claude3", CLAUDE_3),
    Family("claude-3-sonnet", r"claude.*3-sonnet", "claude-3-sonnet", "claude3", CLAUDE_3),
    Family("claude-3-opus", r"claude.*3-opus", "claude-3-opus", "claude3", CLAUDE_3),
    Family("claude", r"claude", "claude", "claude3", CLAUDE_3),
    Family("gemini-3", r"gemini-([3-9]|flash|pro)", "gemini-3", "gemma3", GEMMA),
    Family("gemini-2.5", r"gemini-2\.5", "gemini-2.5", "gemma3", GEMMA),
    Family("gemini-2", r"gemini", "gemini-2", "gemma2", GEMMA),
    Family("gemma-3", r"gemma-?[3-9]", "gemma", "gemma3", GEMMA),
    Family("gemma-2", r"gemma", "gemma", "gemma2", GEMMA),
    Family("gpt-oss", r"gpt-oss", "gpt-oss", "o200k_base"),
    Family("gpt-5-chat", r"gpt-5-chat", "gpt-5-chat", "o200k_base"),
    Family("gpt-5.5", r"gpt-5\.5", "gpt-5", "o200k_base"),
    Family("gpt-5.2", r"gpt-(5\.[2-9]|5\.\d\d|[6-9])", "gpt-5.2", "o200k_base"),
    Family("gpt-5", r"gpt-5", "gpt-5", "o200k_base"),
    Family("o-series", r"(^|[/.])(o[1-9]|codex-mini)(-|$)", "o-series", "o200k_base"),
    Family("gpt-4o-search", r"gpt-4o.*search-preview", "gpt-4-search", "o200k_base"),
    Family("gpt-4o", r"chatgpt|gpt-4o|gpt-4\.[15]", "gpt-4", "o200k_base"),
    Family("gpt-3.5-0301", r"gpt-3\.?5-turbo-0301|gpt-4-0314", "gpt-0301", "cl100k_base"),
    Family("gpt-4-0613", r"gpt-(3\.?5-turbo(-16k)?|4(-32k)?)-0613|(^|/)gpt-4(-32k)?$", "gpt-0613", "cl100k_base"),
    Family("gpt-4", r"gpt-(3\.?5|4)|text-embedding-(3|ada)|(^|/)(davinci|babbage)-002", "gpt-3.5", "cl100k_base"),
    Family("davinci", r"text-davinci-00[23]|code-(davinci|cushman)", "gpt-4", "p50k_base"),
    Family("gpt-3", r"(^|[/:])(text-)?(davinci|curie|babbage|ada)(-001|:|$)", "gpt-4", "r50k_base"),
    Family("llama-guard", r"llama-?guard-?[1-3]", "llama-guard", "llama3", LLAMA),
    Family("llama-4", r"llama-?4", "llama-4", "llama4", LLAMA),
    Family("llama-3.1", r"llama-?v?3[._p-][1-9](?!\d*b)", "llama-3.1", "llama3", LLAMA),
    Family("llama-2", r"llama-?2", "llama-2", "llama2", SENTENCEPIECE_32K),
    Family("llama-3", r"llama", "llama-3", "llama3", LLAMA),
    Family("mistral-old", r"mi[sx]tral-(7|8)|mistral-tiny|mixtral", "mistral-old", "mistral_v3", SENTENCEPIECE_32K),
    Family("mistral", r"(mi(ni)?|magi|code?|dev)stral|pixtral", "mistral", "tekken"),
    Family("qwen-2.5", r"qwen-?2|qwq", "qwen", "qwen2.5", QWEN),
    Family("qwen-3.5", r"qwen-?3\.[5-9]", "qwen-3.5", "qwen3.5", QWEN_3_5),
    Family("qwen-3", r"qwen", "qwen-3", "qwen3", QWEN),
    Family("deepseek-v3", r"deepseek.*(v3(?![.-]?2)|r1)|mai-ds", "deepseek-v3", "deepseek", DEEPSEEK),
    Family("deepseek", r"deepseek", "deepseek", "deepseek", DEEPSEEK),
    Family("glm", r"glm", "glm", "glm", GLM),
    Family("kimi", r"kimi|moonshot", "kimi", "kimi"),
    Family("sonar", r"sonar", "titan", "llama3", LLAMA),
    Family("nova", r"nova-", "nova", "nova"),
    Family("titan", r"titan", "titan", "titan"),
    Family("cohere", r"command|cohere", "cohere", "cohere"),
    Family("grok-2", r"grok-2", "grok-2", "grok"),
    Family("grok-3", r"grok-(3|beta)", "grok-3", "grok"),
    Family("grok-4", r"grok-4(-0709)?($|:)", "grok-4", "grok"),
    Family("grok-code", r"grok-code", "grok-code", "grok"),
    Family("grok", r"grok", "grok", "grok"),
    Family("minimax", r"minimax", "minimax", "minimax"),
    Family("jamba", r"jamba|j2-|ai21", "jamba", "jamba"),
)
BY_ENDPOINT = {"anthropic": "claude-4.5", "gemini": "gemini-3", "cohere": "cohere", "embeddings": "gpt-4"}
OTHER = Family("other", "", "other", "unknown")


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """How one model's text is counted.

    Attributes:
        family: name of the family's row.
        framing: how its prompts are framed.
        wanted: name of the family's own vocabulary.
        vocabulary: name of the vocabulary that counts: the own one where installed, else the stand-in.
        factor: thousandths of a token per token of ``vocabulary``.
        corrections: what else a stand-in gets wrong; a key of vocabulary_corrections.py's table.
        model: the model's name in lower case.
        provider: name of the provider that was asked, in lower case, or "".
    """

    family: str
    framing: str
    wanted: str
    vocabulary: str
    factor: int
    corrections: str
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
    """Return how a model's text is counted; never fails.

    Args:
        model: the model's name as logged.
        provider: name of the provider that was asked, if known.
        endpoint: which API, if known: it tells the vendor of a model whose name says nothing.
        available: names of the vocabularies that are installed beside the bundled ones.
    """
    name = (model or "").lower()
    family = _family(name, endpoint or "")
    own = family.vocabulary in BUNDLED or family.vocabulary in available
    counted = StandIn(family.vocabulary) if own else family.stand_in
    return Choice(family.name, family.framing, family.vocabulary, *counted, name, (provider or "").lower())


def shows_thoughts(choice: Choice) -> bool:
    """Tell whether the reasoning that a model's answers show is all that is billed, and no summary of it.

    Claude since 4, Gemini and OpenAI's own models show summaries.
    Source: https://platform.claude.com/docs/en/build-with-claude/extended-thinking (summarized thinking)
    """
    return not _SUMMARISED.match(choice.framing) or bool(re.search(r"claude.*3[.-]7", choice.model))


_SUMMARISED = re.compile(r"claude|gemini|gpt-(?!oss)|o-series")


def _family(name: str, endpoint: str) -> Family:
    by_endpoint = BY_ENDPOINT.get(endpoint)
    named = (row for row in FAMILIES if re.search(row.pattern, name))
    of_endpoint = (row for row in FAMILIES if row.name == by_endpoint)
    return next(named, None) or next(of_endpoint, OTHER)
