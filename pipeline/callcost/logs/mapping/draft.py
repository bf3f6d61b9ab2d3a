"""A draft of a mapping file for records that no dialect knows: names and the shapes of values decide.

Each column has the names that it goes by in the wild, most certain first, and the kinds of value that it may hold. What
is found is written down as a mapping, with what else it could have been in comments; names of fields are all that it
repeats of the records.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from callcost.logs.mapping.profile import FieldProfile, Profile

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_TOKENS = r"(?:tokens?|token_count|tokens_count|tok|toks)"


class Wanted(msgspec.Struct, frozen=True):
    """A column and how to know it.

    Attributes:
        column: name of the column in the mapping.
        names: patterns of its name in lower case with "_", the most certain first.
        kinds: what it holds; nearly every value is of one of these.
        distinct: nearly every record has a value of its own.
    """

    column: str
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    distinct: bool = False


def _count(column: str, side: str, *more: str) -> Wanted:
    return Wanted(column, (rf"(?:n_|num_)?{side}_{_TOKENS}", rf"{_TOKENS}_{side}", *more), ("count",))


_WHEN = r"(?:at|time|timestamp|ts|date|on|(?:unix_|time_)?(?:ns|nanos?|nanoseconds|ms|millis|s|seconds))"
_OF_CALL = r"(?:total_|request_|call_|estimated_|actual_)"
_PREFIX = re.compile(r"^(?:gen_ai|genai|ai|llm)_(?=.)")  # that what is the model's bears beside what is the program's
_IN = r"(?:prompt|input|in|request|req|query|context)"
_OUT = r"(?:completion|output|out|response|resp|res|reply|answer|generated|generation)"
_READ = r"(?:(?:prompt_|input_)?cache_(?:read|hit)s?(?:_input)?|(?:prompt_|input_)?cached(?:_content|_prompt|_input)?)"
_WRITE = r"(?:(?:prompt_|input_)?cache_(?:write|creation|created|written)(?:_input)?)"
# Asked in order; a place is given away once, so that what is more special comes first.
WANTED = (
    Wanted("response", (r".*",), ("response",)),
    Wanted("usage", (r".*",), ("usage",)),
    Wanted("request", (r".*",), ("request",)),
    _count("cache_read_input_tokens", _READ),
    _count("cache_creation_input_tokens", _WRITE),
    _count("reasoning_tokens", r"(?:(?:completion|output)_)?(?:reasoning|thinking|thoughts?)(?:_output)?"),
    _count("prompt_tokens", _IN, _IN),
    _count("completion_tokens", _OUT, _OUT),
    _count("total_tokens", r"total", r"tokens|token_count"),
    Wanted("own_id", (r"(?:call|request|req|generation|completion|log|event|run|response|message)_?(?:id|uuid|guid)",
                      r"id|_id|uuid|guid", r"(?:correlation|trace|span)_?id"), ("text", "count"), distinct=True),
    Wanted("model", (r"model(?:_name|_id|_slug)?", r"(?:served|response|resolved|llm|ai|chat|base)_model(?:_name|_id)?",
                     r"engine|llm(?:_name)?", r"deployment(?:_name|_id)?", r"request(?:ed)?_model"), ("text",)),
    Wanted("model_requested", (r"request(?:ed)?_model|model_requested", r"deployment(?:_name|_id)?"), ("text",)),
    Wanted("provider", (r"(?:model_|llm_|ai_)?(?:provider|vendor)(?:_name)?",), ("text",)),
    Wanted("end_user", (r"end_?user(?:_id)?", r"customer(?:_id|_name)?", r"client(?:_id|_name)?"), ("text", "count")),
    Wanted("user", (r"user_?(?:id|name|email)?", r"(?:user|caller|actor|employee|owner)(?:_id|_name|_email)?",
                    r"(?:created|requested)_by|distinct_id"), ("text", "count")),
    Wanted("team", (r"team(?:_id|_name|_alias)?", r"(?:department|dept|squad|cost_cent(?:er|re))(?:_id|_name)?"),
           ("text", "count")),
    Wanted("project", (r"project(?:_id|_name)?", r"(?:app|application|service)(?:_id|_name)?"), ("text", "count")),
    Wanted("org", (r"(?:org|organi[sz]ation|tenant|workspace|account)(?:_id|_name)?",), ("text", "count")),
    Wanted("session", (r"(?:session|conversation|thread|chat)_?(?:id|uuid)?",), ("text", "count")),
    Wanted("api_key", (r"api_?key_(?:id|name|alias|hash)", r"key_(?:id|name|alias|hash)"), ("text",)),
    Wanted("started_at", (rf"(?:started|start|request|requested|begin|began)_?{_WHEN}?",
                          r"timestamp|time|ts|created_?(?:at|on|time)?|time_(?:generated_)?utc|time_generated|"
                          rf"(?:logged|logging|log|event)_{_WHEN}", r"date|datetime|day|inserted_at|ingested_at"),
           ("time",)),
    Wanted("ended_at", (rf"(?:ended|end|finish(?:ed)?|completed|response)_?{_WHEN}?",), ("time",)),
    Wanted("logged_cost", (rf"{_OF_CALL}?(?:cost|price|spend)(?:_total)?(?:_(?:in_)?[a-z]+)?",
                           r"(?:usd|amount|charge)(?:_[a-z]+)?"), ("number",)),
    Wanted("messages", (r"messages|(?:input|request|prompt)_messages|chat_history",
                        r"prompt|question|query|input(?:_text)?", r"(?:request|prompt|user)_(?:text|message|content)"),
           ("messages", "long", "text")),
    Wanted("output_text", (r"(?:output|response|completion|answer|reply|assistant)(?:_text|_content|_message)?",
                           r"generation|generated_text"), ("long", "text")),
    Wanted("http_status", (r"(?:http_|response_)?status_code|http_status|response_code|response_status",), ("count",)),
    Wanted("error", (r"error(?:_message|_code|_type)?|exception",), ("text", "long", "object")),
    Wanted("status", (r"status|outcome|state",), ("text",)),
    Wanted("service_tier", (r"service_tier|tier",), ("text",)),
    Wanted("region", (r"(?:cloud_|aws_)?(?:region|location)",), ("text",)),
    Wanted("url", (r"(?:request_|api_|base_|target_)?(?:url|uri|endpoint|base)",), ("text",)),
    Wanted("tags", (r"tags|labels", r"metadata|properties|attributes|custom(?:_[a-z]+)?"), ("tags",)),
)  # fmt: skip
_UNITS = (("millicents", r"milli_?cents?"), ("cents", r"cents?"), ("micros", r"micros?|micro_?(?:usd|dollars?)"))
_MAX_OTHERS = 3
_SUMMED = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)
_BODY_MODEL = "@model"  # the one that the provider's own body names


class Draft(msgspec.Struct):
    """A mapping file that somebody should look at.

    Attributes:
        text: text of the mapping file.
        complete: it names the model, so that it can be used as it is.
    """

    text: str
    complete: bool


def draft_mapping(profile: Profile, name: str) -> Draft:
    """Return a draft of the mapping for records of a profile.

    Args:
        profile: profile of a sample of the records.
        name: name that the mapping gets.
    """
    found = _choose(profile)
    head = [
        f"# Drafted from {profile.records:,} records. Read it, mend it, and give it to --mapping.",
        f"name = {_quote(name)}",
        *_meaning(profile, found),
    ]
    complete = "model" in found or "response" in found
    columns = [] if complete else ['# model = "..."  # no field looks like the name of a model']
    if "response" in found:
        columns.append(f"model = {_list_of([_BODY_MODEL, *(_path_of(place) for place in found.pop('model', [])[:1])])}")
    for column, places in found.items():
        best, *others = [_quote(_path_of(place)) for place in places[: 1 + _MAX_OTHERS]]
        columns.append(f"{column} = {best}{'  # or ' if others else ''}{', '.join(others)}")
    lines = [*head, "", "[columns]", *columns, *_only_lines(profile, found), *_tag_lines(profile, found)]
    return Draft("\n".join(lines) + "\n", complete)


def _choose(profile: Profile) -> dict[str, list[FieldProfile]]:
    """Return each column's places, the likeliest first; a place belongs to one column."""
    found: dict[str, list[FieldProfile]] = {}
    taken: list[tuple[str, ...]] = []
    for wanted in WANTED:
        free = (one for one in profile.places.values() if not any(one.path[: len(path)] == path for path in taken))
        fitting = [(rank, place) for place in free if (rank := _rank(wanted, place)) is not None]
        fitting.sort(key=lambda found: (found[0], len(found[1].path), -found[1].seen, found[1].path))
        places = [place for _, place in fitting]
        if places:
            found[wanted.column] = places
            taken.append(places[0].path)
    return found


def _rank(wanted: Wanted, place: FieldProfile) -> int | None:
    """Return how certain the name of a field is: the position of the pattern that it fits, alone or with the one above.

    None where it fits none, or where what the field holds is not what is wanted.
    """
    if not place.is_mostly(*wanted.kinds):
        return None
    if wanted.distinct and "text" in place.kinds and len(place.texts) * 10 < place.seen * 9:
        return None
    own, held = _plain(place.path[-1]), _plain("_".join(place.path[-2:]))
    names = dict.fromkeys((own, _PREFIX.sub("", own), held))
    ranks = (rank for rank, pattern in enumerate(wanted.names) for name in names if re.fullmatch(pattern, name))
    return next(ranks, None)


def _plain(name: str) -> str:
    return "_".join(word.lower() for word in _WORDS.findall(name))


def _meaning(profile: Profile, found: dict[str, list[FieldProfile]]) -> Iterator[str]:
    """Yield what the values mean: zone, cache inside or beside the prompt, unit of cost, columns of JSON."""
    if any(place.kinds["naive"] for column in ("started_at", "ended_at") for place in found.get(column, [])[:1]):
        yield '# zone = "Europe/Berlin"  # the times name no zone, and are read as UTC'
    if _is_exclusive(profile, found):
        yield 'prompt = "exclusive"'
    for place in found.get("logged_cost", [])[:1]:
        words = _plain(place.path[-1])
        unit = next((unit for unit, pattern in _UNITS if re.search(rf"(?:^|_)(?:{pattern})(?:_|$)", words)), None)
        yield f'cost_unit = "{unit}"' if unit else '# cost_unit = "cents"  # if the cost is not in dollars'
    used = {places[0].path[0] for places in found.values()}
    always = [path[0] for path, place in profile.places.items() if len(path) == 1 and place.seen == profile.records]
    match = [key for key in always if key in used][:4]
    if match:
        yield f"match = {_list_of(match)}"
    columns = sorted(profile.json_columns & used)
    if columns:
        yield f"json = {_list_of(columns)}"


def _is_exclusive(profile: Profile, found: dict[str, list[FieldProfile]]) -> bool:
    """Tell by the sums whether cached tokens stand beside the prompt; inside, where the records do not say."""
    inside = beside = 0
    for numbers in profile.numbers:
        prompt, completion, total, *caches = (
            numbers.get(found[name][0].path) if name in found else None for name in _SUMMED
        )
        cached = sum((count for count in caches if count), Decimal(0))
        if prompt is None or not cached:
            continue
        rest = total - prompt - completion if total is not None and completion is not None else None
        if cached > prompt or rest == cached:
            beside += 1
        elif rest == 0:
            inside += 1
    return beside > inside


def _only_lines(profile: Profile, found: dict[str, list[FieldProfile]]) -> list[str]:
    """Return the condition that a record is a call, where only some of them have what a call has."""
    telling = [found[column][0] for column in ("usage", "completion_tokens", "model") if column in found]
    place = next((place for place in telling if place.seen < profile.records), None)
    path = None if place is None else _quote(_path_of(place))
    return ["", "[only]", f'{path} = ["?*"]  # others are no calls'] if path else []


def _tag_lines(profile: Profile, found: dict[str, list[FieldProfile]]) -> list[str]:
    """Return what else could be grouped by, for the reader to choose from."""
    used = {places[0].path for places in found.values()}
    lines = [
        f"# {_quote(place.path[0])} = {_quote(_path_of(place))}"
        for place in profile.places.values()
        if len(place.path) == 1 and place.path not in used and place.is_mostly("text") and not place.kinds["number"]
        and 1 < len(place.texts) <= max(profile.records // 4, 2) and place.seen * 2 >= profile.records
    ]  # fmt: skip
    return ["", "# [tags]  # what else may be worth grouping by", *lines] if lines else []


def _path_of(place: FieldProfile) -> str:
    return ".".join(key.replace(".", "\\.") for key in place.path)


def _list_of(texts: list[str]) -> str:
    return f"[{', '.join(map(_quote, texts))}]"


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
