"""Records that are recognised and never become calls, each with the reason and what to give instead.

Sums over many calls, requests without their answers, and diagnostic rows without tokens or text.
"""

from __future__ import annotations

from callcost.logs import own_output
from callcost.logs.bills import bill_dialects
from callcost.logs.record.dialect import BATCH_INPUT, CONTEXT, UNBILLED, refusing_dialect
from callcost.logs.record.envelopes import envelope
from callcost.logs.record.stores import Store
from callcost.logs.values.signatures import Signature, sign

DIALECTS = (
    refusing_dialect("own_output", own_output.DETAIL, *own_output.SIGNATURES, reason=own_output.REASON),
    refusing_dialect(
        "litellm_spend_summary",
        "a day's sum: ask /spend/logs with summarize=false, or export the table",
        sign("startTime spend users models", none="request_id"),
    ),
    refusing_dialect(
        "litellm_daily_spend", "a day's sum: export LiteLLM_SpendLogs", sign("spend api_requests successful_requests")
    ),
    refusing_dialect(
        "openai_usage",
        "a bucket of the usage or costs API: it is a bill, not a log",
        sign(values={"object": "bucket page"}),
    ),
    refusing_dialect(
        "anthropic_usage",
        "a bucket of the usage or cost report: it is a bill, not a log",
        sign("starting_at ending_at results"),
    ),
    refusing_dialect(
        "openrouter_activity",
        "a day's sum: export the activity CSV",
        sign("model_permaslug requests"),
        envelopes=(envelope("data", sign(kinds={"data.0.model_permaslug": "text"})),),
    ),
    refusing_dialect(
        "vercel_report",  # https://vercel.com/docs/ai-gateway/observability-and-spend/custom-reporting
        "a sum of Vercel's AI Gateway: log the calls, or their generations",
        sign("request_count total_cost", some="input_tokens output_tokens"),
        envelopes=(envelope("results", sign(kinds={"results.0.request_count": "number"})),),
    ),
    refusing_dialect(
        "cloudflare_analytics",  # https://developers.cloudflare.com/ai-gateway/observability/analytics
        "sums of Cloudflare's analytics: give the gateway's logs",
        sign("count sum", kinds={"sum": "object"}),
        sign(kinds={"data.viewer.accounts": "array"}),
        envelopes=(
            envelope(
                "data.viewer.accounts.aiGatewayRequestsAdaptiveGroups",
                sign(kinds={"data.viewer.accounts.0.aiGatewayRequestsAdaptiveGroups": "array"}),
            ),
        ),
    ),
    refusing_dialect(
        "openai_batch_object", "a batch as a whole: give its output file", sign(values={"object": "batch"})
    ),
    refusing_dialect(
        "batch_input",
        BATCH_INPUT,
        sign("custom_id method url body", none="response"),
        sign("custom_id params", none="result"),
        sign("recordId modelInput", none="modelOutput error"),
        sign("key", none="response error", kinds={"key": "text", "request.contents": "array"}),
        reason="no_usage_possible",
    ),
    refusing_dialect(
        "bedrock_batch_manifest",
        "the sums of a batch: give its output file",
        sign("totalRecordCount processedRecordCount"),
    ),
    refusing_dialect(
        "azure_diagnostics",
        "Azure's diagnostic log has neither tokens nor text: use API Management's LLM log",
        sign("category operationName resourceId", values={"category": "RequestResponse Audit Trace"}),
        reason="no_usage_possible",
    ),
    refusing_dialect(
        "bill",
        "a line of a bill: give it to reconcile with --bill",
        *(Signature(keys=frozenset(keys.split()), loose=True) for bill in bill_dialects() for keys in bill.keys),
        rank=80,  # after all that hold calls by their names, before rows of one's own making
    ),
    refusing_dialect(
        "json_access_log",
        "a web server's access log holds neither tokens nor text: log the response bodies",
        sign("remote_addr status", some="request request_uri body_bytes_sent bytes_sent request_length"),  # nginx
        sign("request status duration", kinds={"request.remote_ip": "text"}),  # Caddy
        sign("RequestMethod RequestPath DownstreamStatus"),  # Traefik
        sign("httpMethod requestId responseLength status"),  # AWS API Gateway
        reason="no_usage_possible",
    ),
    # Results of Azure's content filter, first and last in a stream, which have no answer and name no object.
    refusing_dialect(
        "azure_filter_results",
        "",
        Signature(keys=frozenset(["choices"]), values=((("object",), frozenset([""])),)),
        reason=CONTEXT,
    ),
    refusing_dialect(
        "hermes_session",
        "a session's texts without its usage: give state.db of ~/.hermes",
        sign("session_id messages session_start", some="platform base_url last_updated"),
        reason="no_usage_possible",
    ),
    refusing_dialect(
        "antigravity",
        "Antigravity keeps its usage packed in its own way: give its OTLP export",
        sign(values={"_store": "antigravity"}),
        sign("step_index source type status created_at"),  # transcript.jsonl
        reason="no_usage_possible",
        stores=(Store(tables=("gen_metadata.data",), query="SELECT 'antigravity' AS _store, 1 AS known"),),
    ),
    refusing_dialect(
        "kiro",  # https://github.com/getagentseal/codeburn docs/providers/kiro.md
        "Kiro counts credits, its sessions state no tokens: give the bill to reconcile, or a gateway's log",
        sign("version kind data", values={"kind": "Prompt AssistantMessage ToolResults"}),
        sign("chat executionId metadata", kinds={"chat": "array"}),
        reason="no_usage_possible",
    ),
    refusing_dialect(
        "warp",  # https://github.com/getagentseal/codeburn src/providers/warp.ts
        "Warp keeps sums of conversations, whose sides are not told apart: give the provider's or a gateway's log",
        sign(values={"_store": "warp"}),
        stores=(
            Store(
                tables=("agent_conversations.conversation_data", "ai_queries.exchange_id"),
                query="SELECT 'warp' AS _store, conversation_id FROM agent_conversations ORDER BY conversation_id",
            ),
        ),
    ),
    refusing_dialect(
        "deepseek_tui",  # https://github.com/getagentseal/codeburn src/providers/codewhale.ts
        "a session of DeepSeek's TUI has one sum of both sides: give the provider's usage, or a gateway's log",
        sign("metadata messages", kinds={"metadata.total_tokens": "number", "metadata.id": "text"}),
    ),
    refusing_dialect(
        "deepseek_harness",  # https://github.com/getagentseal/codeburn docs/providers/dsh.md
        "sessions of DeepSeek's harness repeat those they began from: give the provider's usage, or a gateway's log",
        sign("type seq time data"),
        sign("version createdAt id", values={"type": "session"}),
    ),
    refusing_dialect(
        "printed_turn",
        "what an agent's command line prints sums a turn, of no model: give its sessions, or its export of usage",
        sign("session_id usage", values={"type": "result"}, kinds={"usage.inputTokens": "number"}),  # Cursor
        sign("session_id tokens exit_code", values={"type": "result"}),  # Hermes
        sign("sessionId finalText usage", values={"type": "completion"}),  # Droid
        sign("phase turn usage", values={"type": "status"}),  # DeepSeek's harness
        rank=9,  # before claude_code_result
    ),
    refusing_dialect(
        "kimi_print",
        "what Kimi's command line prints states no usage: give wire.jsonl of ~/.kimi-code",
        sign(values={"role": "meta", "type": "system.version session.resume_hint"}),
        reason="no_usage_possible",
    ),
    refusing_dialect(
        "mongo_export",  # https://www.mongodb.com/docs/manual/reference/mongodb-extended-json
        "MongoDB's extended JSON: give a --mapping whose paths go on below $date and $numberInt",
        sign(kinds={"_id.$oid": "text"}),
        reason="unknown_dialect",
        rank=91,  # after all that read such a record
    ),
    refusing_dialect(  # https://github.com/openclaw/openclaw src/shared/transcript-only-openclaw-assistant.ts
        "openclaw_note",
        "",
        sign("message", values={"type": "message", "message.model": "delivery-mirror gateway-injected"}),
        sign("message", values={"type": "message", "message.api": "openclaw-transcript"}),
        reason=CONTEXT,
    ),
    refusing_dialect(  # tokscale pull 1278: of all responses of the turn it has the last one's usage
        "openclaw_codex_turn",
        "the last response of a turn of Codex: give its rollouts, in agent/codex-home of OpenClaw's agent",
        Signature(
            keys=frozenset(["message"]),
            values=((("type",), frozenset(["message"])), (("message", "role"), frozenset(["assistant"]))),
            kinds=((("message", "usage"), (dict,)),),
            starts=((("message", "idempotencyKey"), ("codex-app-server:",)),),
        ),
    ),
    refusing_dialect(  # https://github.com/earendil-works/pi packages/ai/src/types.ts, ToolResultMessage.usage
        "pi_tool",
        "message.usage of a tool's own calls, of no model",
        sign(
            "timestamp message",
            values={"type": "message", "message.role": "toolResult"},
            kinds={"message.usage.input": "number"},
        ),
        reason="unread_usage",
    ),
    refusing_dialect("otel_metrics", "OTLP metrics are sums: export traces", sign("resourceMetrics")),
    refusing_dialect(
        "token_counts", "", sign("input_tokens", values={"object": "response.input_tokens"}), reason=UNBILLED
    ),
)
