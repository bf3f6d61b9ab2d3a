"""What tracers call token counts: canonical count -> attributes of a span; and who puts parts beside the sides.

Names are those of the GenAI conventions (old and new), OpenInference, the Vercel AI SDK, Traceloop, LangWatch, Claude
Code, Codex, MLflow. Cache reads and writes stand inside the input count, as the GenAI conventions and OpenInference
say, but for the writers named here, who pass on the counts of a provider that puts them beside it. Sources:
open-telemetry/semantic-conventions docs/registry/attributes/gen-ai.md, OpenInference spec/semantic_conventions,
vercel/ai packages/ai/src/telemetry, traceloop/openllmetry packages/opentelemetry-instrumentation-bedrock,
mlflow/mlflow mlflow/tracing/constant.py and mlflow/anthropic/autolog.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callcost.logs.usage.arithmetic import READ, REASONING, WRITTEN

SCOPE = "span.scope"  # of the instrumentation
_PASSED_ON = frozenset(("provider.anthropic.cacheReadInputTokens", "provider.bedrock.usage.cacheReadInputTokens"))
_EXCLUSIVE_SCOPES = frozenset((
    "opentelemetry.instrumentation.bedrock", "com.anthropic.claude_code.tracing", "com.anthropic.claude_code.events",
))  # fmt: skip


def attribute_paths(*names: str) -> tuple[str, ...]:
    """Return the names as paths of one key each."""
    return tuple(name.replace(".", "\\.") for name in names)


COUNTS = {
    "prompt_tokens": attribute_paths(
        "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt", "llm.usage.prompt_tokens",
        "ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens", "input_tokens", "input_token_count",
        "mlflow.chat.tokenUsage.input_tokens", "codex.turn.token_usage.input_tokens",
    ),
    "completion_tokens": attribute_paths(
        "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion",
        "llm.usage.completion_tokens", "ai.usage.outputTokens", "ai.usage.completionTokens", "output_tokens",
        "output_token_count", "mlflow.chat.tokenUsage.output_tokens", "codex.turn.token_usage.output_tokens",
    ),
    "total_tokens": attribute_paths(
        "gen_ai.usage.total_tokens", "llm.token_count.total", "llm.usage.total_tokens", "ai.usage.totalTokens",
        "total_token_count", "mlflow.chat.tokenUsage.total_tokens", "codex.turn.token_usage.total_tokens",
    ),
    "cache_read_input_tokens": attribute_paths(
        "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.details.cache_read_tokens", "gen_ai.usage.details.cache_read_input_tokens",
        "gen_ai.usage.details.cached_tokens", "gen_ai.usage.input_tokens.cached", "gen_ai.usage.cached_input_tokens",
        "gen_ai.usage.cached_tokens", "gen_ai.usage.cache_read_tokens",
        "llm.token_count.prompt_details.cache_read", "llm.usage.cache_read_input_tokens",
        "ai.usage.inputTokenDetails.cacheReadTokens", "ai.usage.cachedInputTokens",
        "llm.token_count.prompt_details.cache_input", "provider.anthropic.usage.cache_read_input_tokens",
        "provider.anthropic.cacheReadInputTokens", "provider.openai.cachedPromptTokens",
        "provider.azure.cachedPromptTokens", "provider.deepseek.promptCacheHitTokens",
        "provider.google.usageMetadata.cachedContentTokenCount",
        "provider.vertex.usageMetadata.cachedContentTokenCount", "provider.bedrock.usage.cacheReadInputTokens",
        "cache_read_tokens", "cached_token_count", "cached_content_token_count",
        "mlflow.chat.tokenUsage.cache_read_input_tokens", "codex.turn.token_usage.cached_input_tokens",
    ),
    "cache_creation_input_tokens": attribute_paths(
        "gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.details.cache_write_tokens",
        "gen_ai.usage.details.cache_creation_input_tokens", "gen_ai.usage.cache_creation_tokens",
        "gen_ai.usage.cache_write_tokens", "gen_ai.usage.cache_write_input_tokens",
        "llm.token_count.prompt_details.cache_write", "llm.usage.cache_creation_input_tokens",
        "ai.usage.inputTokenDetails.cacheWriteTokens",
        "provider.anthropic.usage.cache_creation_input_tokens", "provider.anthropic.cacheCreationInputTokens",
        "provider.bedrock.usage.cacheWriteInputTokens", "cache_creation_tokens",
        "mlflow.chat.tokenUsage.cache_creation_input_tokens", "codex.turn.token_usage.cache_write_input_tokens",
    ),
    "cache_write_5m_tokens": attribute_paths("provider.anthropic.usage.cache_creation.ephemeral_5m_input_tokens"),
    "cache_write_1h_tokens": attribute_paths("provider.anthropic.usage.cache_creation.ephemeral_1h_input_tokens"),
    "reasoning_tokens": attribute_paths(
        "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens", "gen_ai.usage.output_tokens.reasoning",
        "gen_ai.usage.reasoning_output_tokens", "gen_ai.usage.thoughts_tokens",
        "llm.token_count.completion_details.reasoning", "llm.usage.reasoning_tokens",
        "ai.usage.outputTokenDetails.reasoningTokens", "ai.usage.reasoningTokens", "provider.openai.reasoningTokens",
        "provider.azure.reasoningTokens", "provider.google.usageMetadata.thoughtsTokenCount",
        "provider.vertex.usageMetadata.thoughtsTokenCount", "reasoning_token_count", "thoughts_token_count",
        "codex.turn.token_usage.reasoning_output_tokens",
    ),
    "audio_input_tokens": attribute_paths(
        "llm.token_count.prompt_details.audio", "gen_ai.usage.details.input_audio_tokens"
    ),
    "audio_output_tokens": attribute_paths(
        "llm.token_count.completion_details.audio", "gen_ai.usage.details.output_audio_tokens"
    ),
}  # fmt: skip

# How Langfuse calls them: it takes these beginnings away (langfuse packages/shared OtelIngestionProcessor).
_INGESTED = ("gen_ai.usage.", "llm.token_count.")
INGESTED_COUNTS = {
    count: tuple(
        path.removeprefix(start)
        for path in paths
        for start in attribute_paths(*_INGESTED)
        if path.startswith(start)
    )
    for count, paths in COUNTS.items()
}

# What restates counts above, or is no count of the call.
NOTED = (
    "provider.anthropic.usage.input_tokens", "provider.anthropic.usage.output_tokens",
    "provider.openai.acceptedPredictionTokens", "provider.openai.rejectedPredictionTokens",
    "provider.deepseek.promptCacheMissTokens", "provider.google.usageMetadata.promptTokenCount",
    "provider.google.usageMetadata.candidatesTokenCount", "provider.google.usageMetadata.totalTokenCount",
    "provider.vertex.usageMetadata.promptTokenCount", "provider.vertex.usageMetadata.candidatesTokenCount",
    "provider.vertex.usageMetadata.totalTokenCount", "provider.openrouter.usage.promptTokens",
    "tool_token_count", "provider.openrouter.usage.completionTokens", "provider.openrouter.usage.totalTokens",
)  # fmt: skip


def parts_beside(flat: Mapping[str, Any]) -> tuple[str, ...]:
    """Return which parts a span's writer puts beside the sides.

    The provider's own counts tell, where the Vercel SDK passes them on: a side that equals one of Anthropic's or of
    Gemini's has nothing added to it.

    Args:
        flat: the span's attributes by name.
    """
    found: tuple[str, ...] = ()
    if "ai.usage.inputTokenDetails.noCacheTokens" not in flat:
        own = flat.get("provider.anthropic.usage.input_tokens")
        old = "ai.usage.promptTokens" in flat and not _PASSED_ON.isdisjoint(flat)
        exclusive = own == _first(flat, "prompt_tokens") if own is not None else old
        exclusive = exclusive or flat.get("mlflow.message.format") == "anthropic"
        found += (READ, WRITTEN) if exclusive or str(flat.get(SCOPE)) in _EXCLUSIVE_SCOPES else ()
    for name in ("google", "vertex"):
        own = flat.get(f"provider.{name}.usageMetadata.candidatesTokenCount")
        found += (REASONING,) if own is not None and own == _first(flat, "completion_tokens") else ()
    return found


def _first(flat: Mapping[str, Any], count: str) -> Any:
    names = (path.replace("\\.", ".") for path in COUNTS[count])
    return next((flat[name] for name in names if name in flat), None)
