"""What the providers call their token counts: one table of spellings a family of APIs, canonical count -> places.

The first place that holds something wins. ``prompt`` says whether cache reads and writes stand inside the prompt
count or beside it, ``reasoning`` the same for reasoning and the completion. usage.py reads these tables; what it
makes of them (identities, clamping, flags) stands there. Sources: each provider's API reference, and the identities
measured over recorded bodies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

Table = Mapping[str, tuple[str, ...]]


class Labelled(msgspec.Struct, frozen=True):
    """A list of {label, number} in a usage object, as Gemini's [{modality, tokenCount}].

    Attributes:
        path: dotted path of the list.
        label: key of the label.
        number: key of the count.
        counts: label -> canonical count.
        noted: further labels, of which nothing is billed in another way; what has none of these is named as unread.
    """

    path: str
    label: str
    number: str
    counts: Mapping[str, str]
    noted: frozenset[str] = frozenset()


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """One spelling of usage.

    Attributes:
        name: name of the spelling, for messages and tests.
        marks: the usage object has one of these keys.
        counts: canonical count -> dotted paths in the usage object.
        units: billed unit -> dotted paths in the usage object.
        prompt: "inclusive" (cache inside the prompt count) or "exclusive" (beside it), as documented; where the total
            or the size of a part tells otherwise, these decide (arithmetic.py).
        reasoning: "inside" the completion count, "beside" it, "apart" from it and the total, or "within" it always.
        total_decides: whether the total is the provider's own, so that it tells what stands beside the sides.
        marked: what stands under a mark: "object", "number" or "" (anything but true and false).
        lists: counts that stand in lists of labelled numbers.
        words: keys whose words say what is billed beside tokens.
        extra_prompt: path of a count that is billed as prompt and stands beside it.
        noted: paths of what says nothing more.
    """

    name: str
    marks: tuple[str, ...]
    counts: Table
    units: Table = msgspec.field(default_factory=dict)
    prompt: str = "inclusive"
    reasoning: str = "inside"
    total_decides: bool = True
    marked: str = ""
    lists: tuple[Labelled, ...] = ()
    words: tuple[str, ...] = ()
    extra_prompt: tuple[str, ...] = ()
    noted: tuple[str, ...] = ()


_DETAILS = ("prompt_tokens_details", "prompt_token_details", "input_tokens_details", "input_token_details")
_OUT_DETAILS = (
    "completion_tokens_details", "completion_token_details", "output_tokens_details", "output_token_details",
)  # fmt: skip
_COUNTS = {
    "read": "cache_read_input_tokens", "written": "cache_creation_input_tokens", "written_5m": "cache_write_5m_tokens",
    "written_1h": "cache_write_1h_tokens", "reasoning": "reasoning_tokens", "total": "total_tokens",
}  # fmt: skip


def _under(parents: tuple[str, ...], *names: str) -> tuple[str, ...]:
    return tuple(f"{parent}.{name}" for name in names for parent in parents)


def _spell(prompt: str, completion: str, **more: str) -> dict[str, tuple[str, ...]]:
    """Return the table of the counts that most APIs have.

    Args:
        prompt: paths of the prompt count, separated by spaces.
        completion: paths of the completion count, separated by spaces.
        more: word of _COUNTS -> paths; a count that cannot be read is refused in this order.
    """
    paths = {"prompt_tokens": prompt, "completion_tokens": completion} | {_COUNTS[word]: more[word] for word in more}
    return {name: tuple(text.split()) for name, text in paths.items() if text}


_XAI = "server_side_tool_usage_details"  # https://docs.x.ai/docs/guides/tools/overview
# What a usage states beside tokens; OpenRouter's tools may run models of their own, which its counts leave out.
_UNITS = {
    "web_search_requests": (
        "server_tool_use.web_search_requests",
        *_under(_DETAILS, "web_search_requests"),
        "server_tool_use_details.web_search_requests",
        f"{_XAI}.web_search_calls",
        "num_search_queries",
    ),
    "web_fetch_requests": ("server_tool_use.web_fetch_requests",),
    "x_search_calls": (f"{_XAI}.x_search_calls",),
    "code_execution_calls": (f"{_XAI}.code_interpreter_calls",),
    "file_search_calls": (f"{_XAI}.file_search_calls",),
    "document_search_calls": (f"{_XAI}.document_search_calls",),
    "maps_queries": _under(_DETAILS, "google_maps_grounding_requests"),  # LiteLLM's
    "search_sources": ("num_sources_used",),
    "server_tool_calls": ("server_tool_use_details.tool_calls_executed",),
    "citation_tokens": ("citation_tokens",),
    "input_seconds": ("seconds",),
    "audio_input_seconds": ("prompt_audio_seconds", *_under(_DETAILS, "audio_length_seconds")),  # Mistral; Vertex
    "video_input_seconds": _under(_DETAILS, "video_length_seconds"),
    "input_characters": _under(_DETAILS, "character_count"),
    "input_images": _under(_DETAILS, "image_count"),
}

_REASONING = ("reasoning_tokens", "thinking_tokens", "reasoning", "flex_reasoning", "priority_reasoning")
_WRITES = (*_under(_DETAILS, "cache_creation_token_details", "cache_creation"), "cache_creation")

# OpenAI's two spellings with what DeepSeek, Kimi, Mistral, xAI, OpenRouter and LiteLLM's proxy add to them.
_OPENAI_PARTS = {
    "cache_read_input_tokens": (
        # LangChain's names have no "tokens"; it puts OpenAI's service tier before them.
        *_under(_DETAILS, "cached_tokens", "cache_read", "flex_cache_read", "priority_cache_read"),
        *_under(_DETAILS, "cached_read_tokens"),  # Bifrost's
        "cache_read_input_tokens",
        "cached_tokens",
        "num_cached_tokens",
        "cached_prompt_tokens",  # CrewAI's
        "prompt_cached_tokens",  # LiveKit's
        "prompt_cache_hit_tokens",
    ),
    "cache_creation_input_tokens": (
        *_under(_DETAILS, "cache_creation_tokens", "cache_write_tokens", "cached_write_tokens"),
        *_under(_DETAILS, "cache_creation", "cache_creation_input_tokens"),  # the first: LangChain's; Alibaba's split
        "cache_creation_input_tokens",
        "cache_write_tokens",
    ),
    # LangChain has the split beside the writes, which it then sets to 0.
    "cache_write_5m_tokens": _under((*_WRITES, *_DETAILS), "ephemeral_5m_input_tokens"),
    "cache_write_1h_tokens": _under((*_WRITES, *_DETAILS), "ephemeral_1h_input_tokens"),
    "text_input_tokens": _under(_DETAILS, "text_tokens"),
    "audio_input_tokens": _under(_DETAILS, "audio_tokens", "audio"),
    "image_input_tokens": _under(_DETAILS, "image_tokens", "image"),
    "video_input_tokens": _under(_DETAILS, "video_tokens", "video"),
    "cache_read_text_tokens": _under(_DETAILS, "cached_tokens_details.text_tokens"),
    "cache_read_audio_tokens": _under(_DETAILS, "cached_tokens_details.audio_tokens"),
    "cache_read_image_tokens": _under(_DETAILS, "cached_tokens_details.image_tokens"),
    "cache_read_video_tokens": _under(_DETAILS, "cached_tokens_details.video_tokens"),
    "reasoning_tokens": (*_under(_OUT_DETAILS, *_REASONING), "reasoning_tokens"),
    "text_output_tokens": _under(_OUT_DETAILS, "text_tokens"),
    "audio_output_tokens": _under(_OUT_DETAILS, "audio_tokens", "audio"),
    "image_output_tokens": _under(_OUT_DETAILS, "image_tokens", "image"),
    "video_output_tokens": _under(_OUT_DETAILS, "video_tokens", "video"),
    "total_tokens": ("total_tokens",),
}

_WORDS = ("text", "image", "video", "audio")  # protobuf's 1, 2, 3, 4
_LIKE_TEXT = frozenset(("DOCUMENT", "5", "MODALITY_UNSPECIFIED", "0"))  # billed as the rest of the prompt is


def _gemini(name: str, marks: str, spell: Callable[[str], str]) -> Shape:
    """Return Gemini's spelling, in the case in which a client writes keys."""

    def by_modality(path: str, prefix: str, suffix: str) -> Labelled:
        names = [f"{prefix}{word}{suffix}" for word in _WORDS]
        labels = [word.upper() for word in _WORDS] + [str(position) for position, _ in enumerate(_WORDS, 1)]
        counts = dict(zip(labels, names * 2, strict=True))
        return Labelled(spell(path), "modality", spell("tokenCount"), counts, _LIKE_TEXT)

    return Shape(
        name=name,
        marks=tuple(map(spell, marks.split())),
        counts=_spell(
            spell("promptTokenCount"),
            spell("candidatesTokenCount responseTokenCount"),
            reasoning=spell("thoughtsTokenCount"),
            read=spell("cachedContentTokenCount"),
            total=spell("totalTokenCount"),
        ),
        reasoning="beside",
        lists=(
            by_modality("promptTokensDetails", "", "_input_tokens"),
            by_modality("toolUsePromptTokensDetails", "", "_input_tokens"),
            by_modality("candidatesTokensDetails", "", "_output_tokens"),
            by_modality("responseTokensDetails", "", "_output_tokens"),  # of the Live API
            by_modality("cacheTokensDetails", "cache_read_", "_tokens"),
        ),
        extra_prompt=(spell("toolUsePromptTokenCount"),),
    )


def _snake(names: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", names)


_BY_TTL = {"5m": "cache_write_5m_tokens", "1h": "cache_write_1h_tokens"}

# Most specific first: the first shape one of whose marks is a key of the usage object reads it.
SHAPES = (
    Shape(
        name="perplexity",  # https://docs.perplexity.ai: reasoning is billed beside the completion
        marks=("num_search_queries", "citation_tokens", "search_context_size"),
        counts=_spell("prompt_tokens", "completion_tokens") | _OPENAI_PARTS,
        units=_UNITS,
        words=("search_context_size",),
        reasoning="apart",
    ),
    Shape(
        name="openai_chat",
        marks=("prompt_tokens", "completion_tokens"),
        counts=_spell("prompt_tokens", "completion_tokens") | _OPENAI_PARTS,
        units=_UNITS,
    ),
    Shape(
        name="codex",
        marks=("cached_input_tokens", "cache_write_input_tokens", "reasoning_output_tokens"),
        counts=_spell(
            "input_tokens", "output_tokens", read="cached_input_tokens", written="cache_write_input_tokens",
            reasoning="reasoning_output_tokens", total="total_tokens",
        ),
        reasoning="within",
    ),
    Shape(
        name="gemini_cli",
        marks=("thoughts", "tool"),
        marked="number",
        counts=_spell("input", "output", reasoning="thoughts", read="cached", total="total"),
        reasoning="beside",
        extra_prompt=("tool",),
    ),
    Shape(
        name="llama_on_bedrock",
        marks=("generation_token_count",),
        counts=_spell("prompt_token_count", "generation_token_count"),
    ),
    _gemini("gemini", "promptTokenCount candidatesTokenCount totalTokenCount", str),
    _gemini("gemini_snake", "promptTokenCount candidatesTokenCount totalTokenCount", _snake),
    Shape(
        name="openai_responses",
        marks=(*_DETAILS, "output_token_details"),
        counts=_spell("input_tokens", "output_tokens") | _OPENAI_PARTS,
        units=_UNITS,
    ),
    Shape(
        name="anthropic",
        marks=("input_tokens", "output_tokens"),
        counts=_spell(
            "input_tokens", "output_tokens", read="cache_read_input_tokens", written="cache_creation_input_tokens",
            written_5m="cache_creation.ephemeral_5m_input_tokens",
            written_1h="cache_creation.ephemeral_1h_input_tokens",
            reasoning="output_tokens_details.thinking_tokens output_tokens_details.reasoning_tokens",
            total="total_tokens",
        ),
        units=_UNITS,
        prompt="exclusive",
        total_decides=False,  # Anthropic states none
    ),
    Shape(
        name="gemini_interactions",
        marks=("total_input_tokens", "total_output_tokens"),
        counts=_spell(
            "total_input_tokens", "total_output_tokens", reasoning="total_thought_tokens total_reasoning_tokens",
            read="total_cached_tokens", total="total_tokens",
        ),
        reasoning="beside",
        extra_prompt=("total_tool_use_tokens",),
    ),
    Shape(
        name="ai_sdk_model",  # vercel/ai packages/provider/src/language-model/v3: what a model's own class states
        marks=("inputTokens", "outputTokens"),
        marked="object",
        counts=_spell(
            "inputTokens.total", "outputTokens.total", read="inputTokens.cacheRead", written="inputTokens.cacheWrite",
            written_5m="raw.cache_creation.ephemeral_5m_input_tokens",
            written_1h="raw.cache_creation.ephemeral_1h_input_tokens", reasoning="outputTokens.reasoning",
        ),
        noted=("inputTokens.noCache", "outputTokens.text", "raw"),
    ),
    Shape(
        name="genkit",  # and others who spell Gemini's counts so: thoughts are billed beside the output
        marks=("cachedContentTokens", "thoughtsTokens"),
        counts=_spell(
            "inputTokens promptTokens", "outputTokens candidatesTokens", read="cachedContentTokens cachedTokens",
            reasoning="thoughtsTokens", total="totalTokens",
        ),
        reasoning="beside",
    ),
    Shape(
        name="ai_sdk",  # vercel/ai packages/provider: versions 4 to 6; also Langfuse's first names, OpenRouter's SDK,
        # Mastra's "...Details"
        marks=(
            "promptTokens", "completionTokens", "cachedInputTokens", "reasoningTokens", "inputTokenDetails",
            "outputTokenDetails", "promptTokensDetails", "completionTokensDetails", "inputDetails", "outputDetails",
        ),
        counts=_spell(
            "promptTokens inputTokens", "completionTokens outputTokens",
            read="cachedInputTokens inputTokenDetails.cacheReadTokens promptTokensDetails.cachedTokens"
            " inputDetails.cacheRead",
            written="inputTokenDetails.cacheWriteTokens promptTokensDetails.cacheWriteTokens inputDetails.cacheWrite",
            reasoning="reasoningTokens outputTokenDetails.reasoningTokens completionTokensDetails.reasoningTokens"
            " outputDetails.reasoning", total="totalTokens",
        )
        | {
            f"{kind}_{side}_tokens": (f"{side}Details.{kind}",)
            for side in ("input", "output") for kind in ("audio", "image")
        },
        total_decides=False,  # version 5 adds up the sides alone
        noted=("raw", "inputDetails.text", "outputDetails.text"),
    ),
    Shape(
        name="bedrock_converse",
        marks=("inputTokens", "outputTokens"),
        counts=_spell(
            "inputTokens", "outputTokens", read="cacheReadInputTokens cacheReadInputTokenCount",
            written="cacheWriteInputTokens cacheWriteInputTokenCount cacheCreationInputTokens", total="totalTokens",
        ),
        units={"web_search_requests": ("webSearchRequests",)},  # these two: Anthropic's Agent SDK, per model
        prompt="exclusive",
        lists=(Labelled("cacheDetails", "ttl", "inputTokens", _BY_TTL),),
    ),
    Shape(
        name="bedrock_invoke",
        marks=("inputTokenCount", "outputTokenCount"),
        counts=_spell(
            "inputTokenCount", "outputTokenCount", read="cacheReadInputTokenCount", written="cacheWriteInputTokenCount"
        ),
        prompt="exclusive",
    ),
    Shape(
        name="bedrock_headers",
        marks=("x-amzn-bedrock-input-token-count", "x-amzn-bedrock-output-token-count"),
        counts=_spell(
            "x-amzn-bedrock-input-token-count", "x-amzn-bedrock-output-token-count",
            read="x-amzn-bedrock-cache-read-input-token-count",
            written="x-amzn-bedrock-cache-write-input-token-count",
        ),
        prompt="exclusive",
    ),
    Shape(
        name="titan_on_bedrock",
        marks=("inputTextTokenCount",),
        counts=_spell("inputTextTokenCount", "totalOutputTextTokenCount results.0.tokenCount"),
    ),
    Shape(
        name="ollama",
        marks=("prompt_eval_count", "eval_count"),
        counts=_spell("prompt_eval_count", "eval_count"),
    ),
    Shape(
        name="cohere",
        marks=("billed_units", "tokens", "search_units"),  # what Cohere bills is not what the model was shown
        counts=_spell("billed_units.input_tokens", "billed_units.output_tokens")
        | {
            "other_prompt_tokens": ("tokens.input_tokens",),
            "other_completion_tokens": ("tokens.output_tokens",),
        },
        units={
            "input_queries": ("billed_units.search_units", "search_units"), "input_images": ("billed_units.images",),
        },
    ),
    Shape(
        name="transcription",
        marks=("seconds", "prompt_audio_seconds"),
        counts={},
        units={"input_seconds": ("seconds", "prompt_audio_seconds")},
    ),
    Shape(
        name="ocr",
        marks=("pages_processed", "pages_processed_annotation", "credits"),
        counts={},
        units={
            "pages": ("pages_processed",), "annotation_pages": ("pages_processed_annotation",),
            "credits": ("credits",),
        },
    ),
    Shape(
        name="short",  # of people's own; Langfuse's, pi's and OpenCode's names
        marks=("input", "output", "prompt", "completion"),
        marked="number",
        counts=_spell(
            "input prompt", "output completion", read="cached cache_read cacheRead cache.read",
            written="cache_write cacheWrite cache.write", reasoning="reasoning", total="total",
        ),
    ),
    Shape(name="total_only", marks=("total_tokens",), counts=_spell("", "", total="total_tokens")),
)  # fmt: skip
