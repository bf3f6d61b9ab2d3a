"""Qwen Code's sessions (~/.qwen/projects/*/chats/*.jsonl): Claude Code's rows with Gemini's messages and usage.

Only answers of the model that state their usage are calls; other rows are read as Claude Code's, which holds them for
what they are: context. Source: QwenLM/qwen-code packages/core/src/services/chatRecordingService.ts.
"""

from __future__ import annotations

from callcost.logs.record.dialect import Dialect
from callcost.logs.values.signatures import sign

DIALECTS = (
    Dialect(
        name="qwen_code",
        rank=24,  # before claude_code
        signatures=(sign("sessionId type usageMetadata", kinds={"usageMetadata": "object"}),),
        fields={
            "own_id": ("uuid",),
            "duplicate_id": ("uuid",),
            "started_at": ("timestamp",),
            "model": ("model",),
            "session": ("sessionId",),
            "project": ("cwd",),
        },
        usage=("usageMetadata",),
    ),
)
