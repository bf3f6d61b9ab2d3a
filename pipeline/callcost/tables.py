"""The structs that travel: a call and its usage before a table exists, a reject, and what a task says of its work.

Nothing stated is None, a stated zero is 0. Suffixes carry units: ``_tokens`` counts, ``_cost`` US dollars (exact
decimals), ``_at`` microseconds since 1970 UTC. logs/ fills ``Call`` and ``Usage``; stages/tables/schemas.py says what
the columns are that stages/ lays them out as.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Self, TypeVar

import msgspec

MAX_COUNT = 10**12  # a count above this is a reject (count_out_of_range), so no sum can overflow
TRACED = "trace"  # how the name of a span begins that stands in any export of its trace
SESSION_SUM = "session_sum"  # flag of a record that sums the calls of a session or a turn: no prompt of it is known
CHUNK_ORDER = "chunk_order"  # flag of a call whose text was joined from rows of chunks that name no order
INCOMPLETE = "incomplete_usage"  # flag of a call that states a part of what it used
HIDDEN = "hidden_reasoning"  # flag of a counted call whose model reasoned, as far as we know, where nobody sees it
FROM_LOG = "reasoning_from_log"  # flag of one whose reasoning is what other calls of the log state
ABORTED = "aborted"  # flag of a call whose answer broke off: what is stated or counted may be less than what is billed
NOT_CHARGED = "not_charged"  # billing of a call that its log says nobody is charged for
UNATTRIBUTED = "unattributed"  # owner of what neither a log nor a bill says whose it is
MONEY_SCALE = 18  # digits after the point of every rate, charge and sum
LAST_PLACE = Decimal(1).scaleb(-MONEY_SCALE)
EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)  # of money: the default of 28 digits would round a long amount


class Usage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Token counts of one sampling run, in LiteLLM's and OpenAI's meaning; None is "not stated".

    ``prompt_tokens`` includes cache reads and writes, ``completion_tokens`` includes reasoning. The modality counts
    (text, audio, image, video) are a second axis over the same prompt and overlap the cache counts.
    """

    model: str | None = None  # the model of this run, where it is not the call's own (an iteration)
    prompt_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    cache_creation_input_tokens: int | None = None  # all writes; what exceeds 5m + 1h is priced as 5m
    text_input_tokens: int | None = None
    audio_input_tokens: int | None = None
    image_input_tokens: int | None = None
    video_input_tokens: int | None = None
    cache_read_text_tokens: int | None = None
    cache_read_audio_tokens: int | None = None
    cache_read_image_tokens: int | None = None
    cache_read_video_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    text_output_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_output_tokens: int | None = None
    video_output_tokens: int | None = None
    total_tokens: int | None = None
    billed_units: dict[str, Decimal] | None = None  # what is not a token: unit name (prices/units.py) -> quantity


USAGE_COUNTS = tuple(name for name in Usage.__struct_fields__ if name.endswith("_tokens"))


class Call(msgspec.Struct, kw_only=True):
    """One canonical LLM request as a dialect read it, still with the text that counting needs."""

    source_format: str  # the dialect's name
    family: str  # duplicates are sought among dialects of one family
    own_id: str | None = None  # the record's own id (pair.id, request_id, StandardLoggingPayload.id, custom_id)
    provider_response_id: str | None = None
    duplicate_id: str | None = None  # what a copy of this call shares with it; None: the record has no id
    span: str | None = None  # trace and own id, where calls may be logged inside each other
    parent: str | None = None  # the span that this one was made in
    ancestors: list[str] | None = None  # sessions that this record may be copied from, nearest first
    forked_at: int | None = None  # when the session was made that may begin with copies of theirs
    replayed: bool | None = None  # True: a copy, as far as its own file tells; False: perhaps, or begun; both yield
    started_at: int | None = None  # microseconds since 1970 UTC
    ended_at: int | None = None
    provider: str | None = None
    model: str = ""  # the model that served, else the one asked for
    model_requested: str | None = None
    model_group: str | None = None
    user: str | None = None
    end_user: str | None = None
    team: str | None = None
    api_key: str | None = None  # a hash, a name or an id, as logged; never a key in clear
    org: str | None = None
    project: str | None = None
    session: str | None = None
    branch: str | None = None  # of the repository that an agent worked in
    host: str | None = None  # machine that the call was made on
    billing: str | None = None  # how it is paid, as far as the log says: logs/record/billing.py
    tags: dict[str, str] | None = None
    endpoint: str | None = None  # chat responses completions embeddings anthropic gemini bedrock_converse ...
    service_tier: str | None = None  # as served, else as asked for; "batch" for a batch
    region: str | None = None  # cloud region or location, where it can change the rate
    data_residency: str | None = None  # OpenAI's regional hosts: "eu" | "us"
    inference_geo: str | None = None  # Anthropic's usage.inference_geo
    speed: str | None = None  # Anthropic's usage.speed
    effort: str | None = None  # how much reasoning was asked for: a level, a budget or a switch, as in the request
    status: str = "success"  # success | failure | cache_hit
    flags: list[str] = msgspec.field(default_factory=list)
    usage: Usage | None = None  # what the record states about the whole call
    iterations: list[Usage] = msgspec.field(default_factory=list)  # priced instead of usage, one charge line each
    unread_usage: list[str] = msgspec.field(default_factory=list)  # paths of numbers like usage that no table knows
    usage_source: str | None = None  # as stated; stages/count/missing_usage.py settles the rest
    count_method: str | None = None
    count_error: float | None = None
    logged_cost: Decimal | None = None
    stated_rates: str | None = None  # what the log says each unit cost: fields of a cost map's entry, as JSON
    request: Any = None  # the provider's own request body (messages, tools ...), never written anywhere
    response: Any = None  # the provider's own response body, usage aside
    system_hash: str | None = None  # keyed hash of the system prompt and the tools
    first_turn_hash: str | None = None  # keyed hash of the first user turn
    text_missing: str | None = None  # why there is no text to count: no_text | redacted | truncated | stripped | moved
    request_digest: bytes | None = None  # blake2b-128 of the canonical request; None: the record has no request
    record_digest: bytes = b""  # blake2b-128 of the record's canonical bytes
    source_file: str = ""
    source_row: int = 0  # 1-based in its container
    record: int = 0  # names the record in its piece: row << 20 and a number; rows of one page share a source_row
    byte_offset: int | None = None  # in uncompressed bytes; None for Parquet


class Reject(msgspec.Struct, kw_only=True, frozen=True):
    """A record that could not become a call; carries no content."""

    reason: str  # a slug of REJECT_REASONS
    detail: str = ""  # names a field or a position, never a value that could be message text
    source_file: str = ""
    source_row: int | None = None  # None: the file as a whole was refused
    byte_offset: int | None = None
    calls: int = 0  # that an aggregate says it sums; 0: it does not say
    tokens: int = 0  # of an aggregate, prompt and completion


REJECT_REASONS = {
    "broken_json": "the line or element is not valid JSON",
    "broken_yaml": "the recorded interaction is not valid YAML",
    "not_an_object": "the JSON value is no object",
    "no_model": "neither the record nor its response names a model",
    "bad_count": "a token count is negative or not a whole number",
    "count_out_of_range": f"a token count is above {MAX_COUNT}",
    "invalid_utf8": "the bytes are not UTF-8",
    "nul_bytes": "the line holds NUL bytes",
    "line_too_long": "the line is longer than --max-record",
    "too_large": "the record or the file would take more memory than --max-record or --max-rows allow",
    "too_deep": "the value is nested too deeply to read",
    "truncated_file": "the compressed file ends too early or is damaged",
    "unreadable_file": "the file cannot be opened or read",
    "unknown_dialect": "no dialect recognises the record",
    "no_usage_possible": "a log of this kind holds neither token counts nor text",
    "unread_usage": "the record states tokens where no table looks for them, so that no call can be read",
    "aggregate": "the record sums many calls; give the log of single calls",
    "own_output": "callcost wrote it: a table or a record of a run, no log",
    "unreadable_record": "the record broke its reader; a report of its shape is welcome",
    "bad_amount": "an amount or a quantity of a bill is not a number",
    "bad_period": "a line of a bill has no readable date",
    "bad_row": "a row has more or fewer cells than its header",
    "worker_died": "reading the record ended its worker process twice",
}


# --- What tasks say of their work -------------------------------------------------------------------------------------


class Sum(msgspec.Struct, kw_only=True):
    """Figures that add: numbers add up, lists follow each other, mappings and sets come together."""

    def __add__(self, other: Self) -> Self:
        names = self.__struct_fields__
        return type(self)(**{name: _added(getattr(self, name), getattr(other, name)) for name in names})


def _added(one: Any, other: Any) -> Any:
    if isinstance(one, dict):
        both = one.keys() & other.keys()
        return {**one, **other, **{name: _added(one[name], other[name]) for name in both}}
    if isinstance(one, (set, bool)):
        return one | other
    return one if isinstance(one, str) else one + other


S = TypeVar("S", bound=Sum)


def add_up(sums: Sequence[S], nothing: S) -> S:
    """Return the sum of all, half by half, so that large ones are not copied for each that is added to them."""
    if len(sums) < 2:
        return sums[0] if sums else nothing
    middle = len(sums) // 2
    return add_up(sums[:middle], nothing) + add_up(sums[middle:], nothing)


class Counting(Sum):
    """What counted, and what became of it.

    Attributes:
        engines: names and versions.
        vocabularies: name -> sha256 of the published file.
        texts: distinct texts that were counted.
        cache_hits: texts whose count was remembered.
        rechecked: texts that the reference engine counted too.
        mismatches: those of them that it counted differently; a process goes on counting these, so the most count.
        doubtful: fast engines that were found to differ after they had counted: count again without them.
    """

    engines: set[str] = set()
    vocabularies: dict[str, str] = {}
    texts: int = 0
    cache_hits: int = 0
    rechecked: int = 0
    mismatches: int = 0
    doubtful: int = 0

    def __add__(self, other: Self) -> Self:
        added = Sum.__add__(self, other)
        added.mismatches = max(self.mismatches, other.mismatches)
        return added


class TaskResult(Sum):
    """What a task says of its work; all else is in the files that it wrote.

    Attributes:
        files: their paths.
        read_bytes: bytes of logs that the task has read, where an executor has to remember that.
        read_calls: calls that it has read, likewise.
        counting: what counted tokens, and what became of it.
    """

    files: list[str] = []
    read_bytes: int = 0
    read_calls: int = 0
    counting: Counting = msgspec.field(default_factory=Counting)

    def files_of(self, *kinds: str) -> list[str]:
        """Return the files whose names begin with a kind and a hyphen, in the order of their names."""
        return sorted(path for path in self.files if path.rpartition("/")[2].partition("-")[0] in kinds)


class MapResult(TaskResult):
    """What reading some inputs gave; numbers of inputs are text, as in JSON.

    Attributes:
        inputs: number of an input -> what its records are: ``records``, ``rejects``, ``context``, ``fragments``; of
            rejects that sum calls ``aggregates``, ``aggregate_calls``, ``aggregate_tokens``.
        digests: number of an input read whole -> sha256 of its bytes.
        rows_before: (number of a piece, rows of its file before it).
        facts: rows of facts, one a charge line.
        timed_out: (number of a piece, source_file, row in the piece) of each call of which an item timed out.
        quarantined: whether an input was put aside because it ends its workers.
        kept_calls: calls that the input does not hold any more, and the facts do.
        unread_usage: path of a number that looks like usage and that no table knows -> calls that have it.
        joined: whether other inputs of the run were asked about, as for the requests of a batch.
        hidden: facts of calls whose reasoning is hidden.
    """

    inputs: dict[str, dict[str, int]] = {}
    digests: dict[str, str] = {}
    rows_before: list[tuple[int, int]] = []
    facts: int = 0
    timed_out: list[tuple[int, str, int]] = []
    quarantined: bool = False
    kept_calls: int = msgspec.field(default=0, name="leftovers")  # as states have it
    unread_usage: dict[str, int] = {}
    joined: bool = False
    hidden: int = 0

    def total(self, name: str) -> int:
        """Return how many records of all inputs are something."""
        return sum(tally.get(name, 0) for tally in self.inputs.values())


class FlaggedCalls(Sum):
    """Calls with a flag, as of rows that equal another and have nothing that tells them apart.

    Attributes:
        calls: how many calls there are.
        with_cost: how many of them have a cost.
        cost: sum of the costs, in the last place of money (10**-18 US dollars), so exactly.
    """

    calls: int = 0
    with_cost: int = 0
    cost: int = 0


class CorrectedCalls(Sum):
    """Calls whose cost corrections of prices moved.

    Attributes:
        calls: how many calls there are.
        cost: by how much, in 10**-18 US dollars; below 0: they cost less.
    """

    calls: int = 0
    cost: int = 0


class CountedTokens(Sum):
    """Calls with a side that was counted here.

    Attributes:
        calls: how many calls there are.
        prompt_tokens: tokens of their prompts, null counted as 0.
        completion_tokens: tokens of their answers, null counted as 0.
        millionths: by how much the tokens may be off, in millionths of a token, so that sums are exact.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    millionths: int = 0


class ReduceResult(TaskResult):
    """What settling and pricing some facts gave; each mapping goes from a value to the calls that have it.

    Attributes:
        duplicates: why a record is no call of its own.
        per_input: ``read``, ``kept`` (no duplicates) and ``calls`` (not filtered): number of an input -> calls.
        filtered_by: the filter that left a call out.
        spans: (first, last) time of calls, microseconds since 1970 UTC.
        usage_source: whose the token counts are.
        count_method: null is left out, as below.
        price_status: one of four.
        price_basis: when the rates were in force.
        price_version: the cost map that priced a call.
        source_format: the dialect.
        flags: a call may have several.
        model: only where nothing is priced; there may be very many.
        day: UTC, only where nothing is priced.
        aborted: calls whose answer broke off.
        repeated_rows: calls that equal another.
        corrected: calls whose cost corrections of prices moved.
        derived: calls at a rate that a provider documents and the cost map lacks.
        filled: calls whose reasoning is what other calls of the log state; the cost is that of the reasoning.
        undated: calls without a time.
        counted: calls with counted tokens.
    """

    duplicates: dict[str, int] = {}
    per_input: dict[str, dict[str, int]] = {}
    filtered_by: dict[str, int] = {}
    spans: list[tuple[int, int]] = []
    usage_source: dict[str, int] = {}
    count_method: dict[str, int] = {}
    price_status: dict[str, int] = {}
    price_basis: dict[str, int] = {}
    price_version: dict[str, int] = {}
    source_format: dict[str, int] = {}
    flags: dict[str, int] = {}
    model: dict[str, int] = {}
    day: dict[str, int] = {}
    aborted: FlaggedCalls = msgspec.field(default_factory=FlaggedCalls)
    repeated_rows: FlaggedCalls = msgspec.field(default_factory=FlaggedCalls)
    corrected: CorrectedCalls = msgspec.field(default_factory=CorrectedCalls)
    derived: FlaggedCalls = msgspec.field(default_factory=FlaggedCalls)
    filled: FlaggedCalls = msgspec.field(default_factory=FlaggedCalls)
    undated: int = 0
    counted: CountedTokens = msgspec.field(default_factory=CountedTokens)
