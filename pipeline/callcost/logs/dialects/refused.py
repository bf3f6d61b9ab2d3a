"""Records that are recognised and never become calls, each with the reason and what to give instead.

Sums over many calls, requests without their answers, and diagnostic rows without tokens or text.
"""

from __future__ import annotations

from callcost.logs import own_output
from callcost.logs.bills import bill_dialects
from callcost.logs.record.dialect import BATCH_INPUT, CONTEXT, Dialect
from callcost.logs.record.envelopes import Envelope
from callcost.logs.values.signatures import Signature, sign

_FIRST = 10


def _refused(name: str, reason: str, detail: str, *signatures: Signature) -> Dialect:
    return Dialect(name=name, family=name, rank=_FIRST, signatures=signatures, refusal=(reason, detail))


DIALECTS = (
    _refused("own_output", own_output.REASON, own_output.DETAIL, *own_output.SIGNATURES),
    _refused(
        "litellm_spend_summary",
        "aggregate",
        "a day's sum: ask /spend/logs with summarize=false, or export the table",
        sign("startTime spend users models", none="request_id"),
    ),
    _refused(
        "litellm_daily_spend",
        "aggregate",
        "a day's sum: export LiteLLM_SpendLogs",
        sign("spend api_requests successful_requests"),
    ),
    _refused(
        "openai_usage",
        "aggregate",
        "a bucket of the usage or costs API: it is a bill, not a log",
        sign(values={"object": "bucket page"}),
    ),
    _refused(
        "anthropic_usage",
        "aggregate",
        "a bucket of the usage or cost report: it is a bill, not a log",
        sign("starting_at ending_at results"),
    ),
    Dialect(
        name="openrouter_activity",
        family="openrouter_activity",
        rank=_FIRST,
        envelopes=(Envelope(signatures=(sign(kinds={"data.0.model_permaslug": "text"}),), rows=("data",)),),
        signatures=(sign("model_permaslug requests"),),
        refusal=("aggregate", "a day's sum: export the activity CSV"),
    ),
    Dialect(
        name="vercel_report",  # https://vercel.com/docs/ai-gateway/observability-and-spend/custom-reporting
        family="vercel_report",
        rank=_FIRST,
        envelopes=(Envelope(signatures=(sign(kinds={"results.0.request_count": "number"}),), rows=("results",)),),
        signatures=(sign("request_count total_cost", some="input_tokens output_tokens"),),
        refusal=("aggregate", "a sum of Vercel's AI Gateway: log the calls, or their generations"),
    ),
    Dialect(
        name="cloudflare_analytics",  # https://developers.cloudflare.com/ai-gateway/observability/analytics
        family="cloudflare_analytics",
        rank=_FIRST,
        envelopes=(
            Envelope(
                signatures=(sign(kinds={"data.viewer.accounts.0.aiGatewayRequestsAdaptiveGroups": "array"}),),
                rows=("data", "viewer", "accounts", "aiGatewayRequestsAdaptiveGroups"),
            ),
        ),
        signatures=(
            sign("count sum", kinds={"sum": "object"}),
            sign(kinds={"data.viewer.accounts": "array"}),
        ),
        refusal=("aggregate", "sums of Cloudflare's analytics: give the gateway's logs"),
    ),
    _refused(
        "openai_batch_object", "aggregate", "a batch as a whole: give its output file", sign(values={"object": "batch"})
    ),
    _refused(
        "batch_input",
        "no_usage_possible",
        BATCH_INPUT,
        sign("custom_id method url body", none="response"),
        sign("custom_id params", none="result"),
        sign("recordId modelInput", none="modelOutput error"),
        sign("key", none="response error", kinds={"key": "text", "request.contents": "array"}),
    ),
    _refused(
        "bedrock_batch_manifest",
        "aggregate",
        "the sums of a batch: give its output file",
        sign("totalRecordCount processedRecordCount"),
    ),
    _refused(
        "azure_diagnostics",
        "no_usage_possible",
        "Azure's diagnostic log has neither tokens nor text: use API Management's LLM log",
        sign("category operationName resourceId", values={"category": "RequestResponse Audit Trace"}),
    ),
    Dialect(
        name="bill",
        family="bill",
        rank=80,  # after all that hold calls by their names, before rows of one's own making
        signatures=tuple(Signature(keys=keys, loose=True) for bill in bill_dialects() for keys in bill.keys),
        refusal=("aggregate", "a line of a bill: give it to reconcile with --bill"),
    ),
    _refused(
        "json_access_log",
        "no_usage_possible",
        "a web server's access log holds neither tokens nor text: log the response bodies",
        sign("remote_addr status", some="request request_uri body_bytes_sent bytes_sent request_length"),  # nginx
        sign("request status duration", kinds={"request.remote_ip": "text"}),  # Caddy
        sign("RequestMethod RequestPath DownstreamStatus"),  # Traefik
        sign("httpMethod requestId responseLength status"),  # AWS API Gateway
    ),
    # Azure's content filter speaks first and last in a stream, of no answer and no object.
    _refused(
        "azure_filter_results",
        CONTEXT,
        "",
        Signature(keys=frozenset(["choices"]), values=((("object",), frozenset([""])),)),
    ),
    _refused("otel_metrics", "aggregate", "OTLP metrics are sums: export traces", sign("resourceMetrics")),
    _refused("otel_logs", "no_usage_possible", "OTLP logs hold no spans: export traces", sign("resourceLogs")),
    _refused("token_counts", CONTEXT, "", sign("input_tokens", values={"object": "response.input_tokens"})),
)
