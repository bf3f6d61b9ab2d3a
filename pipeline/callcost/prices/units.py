"""What can be billed: the table of units, how much of each a usage holds, and how cost fields name them.

Both readers of prices stand on this file: ``charges.py`` (one call, ints) and ``stages/pricing/price_facts.py`` (a
table, Polars expressions). The quantities of token units are formulas of three operations, written as data, so that
they mean the same to both. What a unit costs is left to ``rates.py``.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from callcost.tables import Usage


class Unit(NamedTuple):
    """Something that has a price.

    Attributes:
        name: of a token unit: in every table of this room; of another: the key in ``Usage.billed_units``.
        side: "input", "output" or "other": which cost column it counts into.
        cache: "", "read", "read_explicit", "write", "write_1hr", "write_12hr": of cost field names.
        modality: "", "audio", "image", "video", "reasoning": of cost field names.
        measure: "token", "second", "image" ...: of cost field names.
        doc: what one of it is.
    """

    name: str
    side: str
    cache: str
    modality: str
    measure: str
    doc: str

    @property
    def uncached(self) -> str:
        """The token unit that a cached token of the prompt would have been without a cache."""
        return f"{self.modality or 'text'}_input"


def _units(text: str) -> dict[str, Unit]:
    rows = (line.split(None, 5) for line in text.strip().splitlines())
    cells = (("" if cell == "-" else cell for cell in row) for row in rows)
    return {unit.name: unit for unit in (Unit._make(row) for row in cells)}


# Token units: a partition of the prompt, then one of the completion.
TOKEN_UNITS = _units("""
    text_input          input   -           -          token   a prompt token that no other row takes
    audio_input         input   -           audio      token   an uncached audio token of the prompt
    image_input         input   -           image      token   an uncached image token of the prompt
    video_input         input   -           video      token   an uncached video token of the prompt
    cache_read          input   read        -          token   a prompt token read from the provider's cache
    cache_read_audio    input   read        audio      token   of these, audio
    cache_read_image    input   read        image      token   of these, image
    cache_read_video    input   read        video      token   of these, video
    cache_write_5m      input   write       -          token   a prompt token written to a cache of five minutes
    cache_write_1h      input   write_1hr   -          token   a prompt token written to a cache of one hour
    text_output         output  -           -          token   a completion token that no other row takes
    reasoning           output  -           reasoning  token   a completion token that is not shown
    audio_output        output  -           audio      token   an audio token of the completion
    image_output        output  -           image      token   an image token of the completion
    video_output        output  -           video      token   a video token of the completion
""")

# Units that a usage states under their own name in billed_units. Sizes and kinds follow the name: output_seconds_720p.
BILLED_UNITS = _units("""
    cache_write_12h_tokens      input   write_12hr     -          token         a token written for twelve hours
    cache_write_audio_tokens    input   write          audio      token         an audio token written to a cache
    explicit_cache_read_tokens  input   read_explicit  -          token         a token read from a cache made to order
    input_characters            input   -              -          character     a character of the prompt
    input_seconds               input   -              -          second        a second of transcribed audio
    audio_input_seconds         input   -              audio      second        a second of audio in the prompt
    video_input_seconds         input   -              video      second        a second of video in the prompt
    input_images                input   -              -          image         an image in the prompt
    input_pixels                input   -              -          pixel         a pixel of a picture asked for
    input_queries               input   -              -          query         a search, or a rerank search unit
    requests                    input   -              -          request       a request, whatever its size
    text_messages               input   -              -          text_message  a text message in a voice session
    output_characters           output  -              -          character     a character of the answer
    output_seconds              output  -              -          second        a second of what was made
    audio_output_seconds        output  -              audio      second        a second of audio that was made
    video_output_seconds        output  -              video      second        a second of video that was made
    output_images               output  -              -          image         a picture that was made
    output_pixels               output  -              -          pixel         a pixel of a picture that was made
    seconds                     other   -              -          time          a second of a machine held for the call
    pages                       other   -              ocr        page          a page read
    annotation_pages            other   -              annotation page          a page annotated
    credits                     other   -              ocr        credit        a credit of a document service
    included_queries            other   -              included  query          a search that a fee of its own covers
    included_citation_tokens    other   -              included  token          a token of a page that it covers
    citation_tokens             other   -              citation   token         a token of a cited page
    code_interpreter_sessions   other   -              code_interpreter  session  a session of a code interpreter
    file_search_calls           other   -              file_search  call         a search of the caller's own files
    document_search_calls       other   -              document_search  call     a search of files sent along
    x_search_calls              other   -              x_search  call            a search of posts on X
    search_sources              other   -              search_source  source     a page that a live search used
    code_execution_calls        other   -              code_execution  call      a run of code by the provider
    image_generation_calls      other   -              image_generation  call    a picture drawn by a tool
    server_tool_calls           other   -              server_tool  call         a tool that a gateway ran
    gateway_fee                 other   -              gateway  dollar           a dollar that a gateway asks for a call
    web_fetch_requests          other   -              web_fetch  request        a page fetched by the provider
    maps_queries                other   -              google_maps_grounding  query  a question to the maps
    web_search_requests         other   -              search_context  query    a search of the web by the provider
    guardrail_units             other   -              guardrail  unit          a unit of a guardrail's policy
""")

UNITS: Mapping[str, Unit] = TOKEN_UNITS | BILLED_UNITS

# Two measures of one thing are charged once. Where the usage states tokens of that side and they have a rate, these
# are not charged beside them:
TOKENS_FIRST = frozenset(
    {"input_seconds", "input_pixels", "output_seconds", "output_images", "output_pixels", "seconds"}
)
# nor these, which tokens stand for where these have no rate of their own,
TOKENS_ELSE = frozenset({"input_characters", "input_images", "output_characters"})
# and where these have a rate, they are charged instead of the tokens (litellm_semantics.md 1.3):
INSTEAD_OF = {"input_characters": "text_input", "output_characters": "text_output"}
_MEASURES = frozenset({"seconds", "pages", "annotation_pages", "credits"})  # neither input nor output, and no tools
_BY_DIMENSIONS = {(u.side if u.side != "other" else "", u.cache, u.modality, u.measure): u for u in UNITS.values()}


def unit_of(name: str) -> tuple[Unit, str] | None:
    """Return the unit and the variant ("720p", "high", "") that a name of billed_units stands for, None if none.

    >>> unit_of("output_seconds_720p")[1]
    '720p'
    """
    stem, variant = name, ""
    while stem not in UNITS:
        stem, _, part = stem.rpartition("_")
        if not stem:
            return None
        variant = f"{part}_{variant}".rstrip("_")
    return UNITS[stem], variant


def is_measure(name: str) -> bool:
    """Say whether a unit beside tokens measures what a model did; tools are charged beside whatever does."""
    found = unit_of(name)
    return found is not None and (found[0].side != "other" or found[0].name in _MEASURES)


# --- How much of each token unit a usage holds ------------------------------------------------------------------------


class Step(NamedTuple):
    """One step of the formulas: an operation on two counts that are never negative.

    Attributes:
        name: of the result.
        operation: "less" (left - right, 0 where that is negative), "least" (the smaller) or "add".
        left: a column of COUNTS_READ, or a step above.
        right: the same.
    """

    name: str
    operation: str
    left: str
    right: str


def _steps(text: str) -> tuple[Step, ...]:
    rows = (line.partition("#")[0].split() for line in text.strip().splitlines())
    return tuple(Step(name, operation, left, right) for name, operation, left, right in rows)


# The prompt is cut first along the caches, then the uncached rest along the modalities, so that nothing is taken twice;
# what claims more than is left gets what is left (pricing.md: S7).
PROMPT_STEPS = _steps("""
    read              least  cache_read_input_tokens      prompt_tokens
    unread            less   prompt_tokens                read
    split             add    cache_write_5m_tokens        cache_write_1h_tokens
    unsplit           less   cache_creation_input_tokens  split      # a rest without a time to live is priced as 5m
    writes            add    split                        unsplit
    written           least  writes                       unread
    uncached          less   unread                       written
    cache_write_1h    least  cache_write_1h_tokens        written
    cache_write_5m    less   written                      cache_write_1h
    cache_read_audio  least  cache_read_audio_tokens      read
    unheard           less   read                         cache_read_audio
    cache_read_image  least  cache_read_image_tokens      unheard
    unseen            less   unheard                      cache_read_image
    cache_read_video  least  cache_read_video_tokens      unseen
    cache_read        less   unseen                       cache_read_video
    fresh_audio       less   audio_input_tokens           cache_read_audio
    audio_input       least  fresh_audio                  uncached
    not_audio         less   uncached                     audio_input
    fresh_image       less   image_input_tokens           cache_read_image
    image_input       least  fresh_image                  not_audio
    not_image         less   not_audio                    image_input
    fresh_video       less   video_input_tokens           cache_read_video
    video_input       least  fresh_video                  not_image
    text_input        less   not_image                    video_input
""")
COMPLETION_STEPS = _steps("""
    reasoning         least  reasoning_tokens             completion_tokens
    shown             less   completion_tokens            reasoning
    audio_output      least  audio_output_tokens          shown
    not_spoken        less   shown                        audio_output
    image_output      least  image_output_tokens          not_spoken
    not_drawn         less   not_spoken                   image_output
    video_output      least  video_output_tokens          not_drawn
    text_output       less   not_drawn                    video_output
""")
QUANTITIES = PROMPT_STEPS + COMPLETION_STEPS


class _Cut(NamedTuple):
    """The steps of one side for a list of counts: places instead of names, as a list is twice as fast as a dict."""

    read: tuple[str, ...]  # counts at the head of the list: the whole, then its parts
    counts_of: Callable[[Usage], tuple[int | None, ...]]  # a usage's counts of these
    steps: tuple[tuple[str, int, int], ...]  # (operation, place, place); each adds a place
    units: tuple[tuple[str, int], ...]  # (token unit, place)
    rest: str  # the unit that takes what no other does


def _cut(side: str, whole: str, steps: tuple[Step, ...]) -> _Cut:
    operands = [name for step in steps for name in (step.left, step.right)]
    read = tuple(dict.fromkeys([whole, *(name for name in operands if name.endswith("_tokens"))]))
    place = {name: number for number, name in enumerate([*read, *(step.name for step in steps)])}
    coded = tuple((step.operation, place[step.left], place[step.right]) for step in steps)
    units = tuple((unit.name, place[unit.name]) for unit in TOKEN_UNITS.values() if unit.side == side)
    return _Cut(read, operator.attrgetter(*read), coded, units, f"text_{side}")


_CUTS = (_cut("input", "prompt_tokens", PROMPT_STEPS), _cut("output", "completion_tokens", COMPLETION_STEPS))
COUNTS_READ = tuple(name for cut in _CUTS for name in cut.read)


def quantities(usage: Usage) -> list[tuple[str, int]]:
    """Return (unit, count) of each token unit of which a usage holds any."""
    found: list[tuple[str, int]] = []
    for _, counts_of, steps, units, rest in _CUTS:
        whole, *parts = counts_of(usage)
        if not any(parts):  # what the steps would say, sooner
            if whole:
                found.append((rest, whole))
            continue
        counts = [whole or 0, *(part or 0 for part in parts)]
        for operation, left, right in steps:
            one, other = counts[left], counts[right]
            if operation == "less":
                counts.append(one - other if one > other else 0)
            elif operation == "least":
                counts.append(one if one < other else other)  # noqa: FURB136 - three times as fast as min()
            else:
                counts.append(one + other)
        found += [(unit, counts[place]) for unit, place in units if counts[place]]
    return found


# --- How cost fields are named ----------------------------------------------------------------------------------------


class RateKey(NamedTuple):
    """What a cost field is the price of.

    Attributes:
        unit: its name, with its variant.
        tier: "" for standard, else "batches", "flex", "priority" ...
        above: holds for prompts of more than this many tokens; 0: for all.
    """

    unit: str
    tier: str = ""
    above: int = 0


TIERS = ("batches", "flex", "priority", "balanced", "ultrafast", "decisions")

# What is cut from the end of a name, again and again; each row says what the piece settles.
_ENDINGS = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("tier", rf"_({'|'.join(TIERS)}|batch_requests)$"),
        ("above", r"_above_(\d+k?)_tokens$"),
        ("lifetime", r"_above_(\d+hr)$"),
        ("variant", r"_(above_\d+s_interval)$"),
        ("variant", r"_(above_\d+_and_\d+_pixels)$"),
        ("variant", r"_(?:and_)?(premium_image)$"),
        ("variant", r"_(\d+p|\d+(?:\.\d+)?[kK]|\d{3,4})$"),
    )
)
_MODALITIES = "audio|image|video|reasoning"
_STEMS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?P<side>input|output)_cost_per_(?:(?P<modality>{_MODALITIES})_(?:per_)?)?"
        r"(?P<measure>token|second|character|pixel|query|request|image|text_message)",
        rf"(?P<explicit>explicit_)?cache_(?P<cache>read|creation)_input_(?:(?P<modality>{_MODALITIES})_)?"
        rf"(?P<measure>token)_cost(?:_per_(?P<modality_2>{_MODALITIES})_token)?",
        r"(?P<modality>[a-z_]+?)_cost_per_(?P<measure>page|credit|session|query|token|unit)",
        r"(?P<cache>input)_cost_per_(?P<measure>token)_cache_hit",  # DeepSeek's word for a cache read
        r"cost_per_(?P<measure>second|image)",
    )
)
_CACHES = {"read": "read", "creation": "write", "input": "read", None: ""}
_ALONE = {"second": ("", "time"), "image": ("output", "image")}  # cost_per_second, cost_per_image

# Fields that cost nothing by themselves: what they say, and where it is used.
EXPLAINED = {
    "input_dbu_cost_per_token": "Databricks units; the dollar twin is charged",
    "output_dbu_cost_per_token": "Databricks units; the dollar twin is charged",
    "output_db_cost_per_token": "Databricks units, misspelt; the dollar twin is charged",
    "search_free_requests": "free searches are an account's, not a call's; each search is charged",
}
# Fields that hold several rates or multipliers, read whole by rates.py.
STRUCTURED = {
    "tiered_pricing": "rates by the size of the prompt or of the result",
    "off_peak_pricing": "rates by the time of the call",
    "search_context_cost_per_query": "rates by the size of a web search",
    "guardrail_cost_per_unit": "rates by policy",
    "web_search_billing_unit": "whether searches are charged one by one or once a prompt",
    "provider_specific_entry": "multipliers by geography and speed",
    "fedramp_uplift_multiplier": "multiplier of OpenAI's endpoint for the US government",
    "regional_endpoint_uplift_multiplier": "multiplier of a regional endpoint",
    "regional_processing_uplift_multiplier_eu": "multiplier of processing in Europe",
    "regional_processing_uplift_multiplier_us": "multiplier of processing in the United States",
}


def is_cost_field(name: str) -> bool:
    """Say whether a field of a cost map is about money."""
    return "cost" in name or "pric" in name or "multiplier" in name or name in STRUCTURED or name in EXPLAINED


@functools.lru_cache(maxsize=4096)
def place_field(name: str) -> RateKey | None:
    """Return what a cost field is the price of; None where it is no single price, or the grammar does not know it.

    >>> place_field("cache_creation_input_token_cost_above_1hr_above_200k_tokens_batches")
    RateKey(unit='cache_write_1h', tier='batches', above=200000)
    """
    stem, found = _without_endings(name)
    for pattern in _STEMS:
        match = pattern.fullmatch(stem)
        unit = match and _BY_DIMENSIONS.get(_dimensions(match.groupdict(), found.get("lifetime", "")))
        if unit:
            tier = found.get("tier", "").replace("batch_requests", "batches")
            above = found.get("above", "0")
            return RateKey(
                "_".join(filter(None, (unit.name, found.get("variant", "")))),
                tier,
                int(above.rstrip("k")) * (1000 if above.endswith("k") else 1),
            )
    return None


def _without_endings(name: str) -> tuple[str, dict[str, str]]:
    found: dict[str, str] = {}
    cut = True
    while cut:
        cut = False
        for kind, pattern in _ENDINGS:
            match = pattern.search(name)
            if match and (kind == "variant" or kind not in found):
                earlier = found.get(kind)
                found[kind] = f"{match[1]}_{earlier}" if earlier else match[1]
                name, cut = name[: match.start()], True
    return name, found


def _dimensions(parts: Mapping[str, str | None], lifetime: str) -> tuple[str, str, str, str]:
    cache = _CACHES[parts.get("cache")]
    if parts.get("explicit"):
        cache += "_explicit"
    if lifetime:
        cache += f"_{lifetime}"
    modality, measure = parts.get("modality") or parts.get("modality_2") or "", parts["measure"] or ""
    if cache:
        return "input", cache, modality, measure
    if "side" not in parts and not modality:
        return (*_ALONE[measure][:1], "", "", _ALONE[measure][1])
    return parts.get("side") or "", "", modality, measure
