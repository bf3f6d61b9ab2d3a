"""What response bodies say of what the provider bills beside the tokens of their usage.

Searches and other tools that it ran, pictures that a tool drew with a model of its own, seconds of a recording, pages,
pictures. One function for each kind of body; bodies.py says which body has which.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from callcost.logs.usage.arithmetic import MODALITIES
from callcost.logs.usage.unit_quantities import SEARCHES, Units, read_quantities
from callcost.logs.usage.usage import Reading, has_tokens, read_count, read_usage
from callcost.logs.values.json import dict_in, dicts_in, list_in
from callcost.logs.values.json_path import follow
from callcost.tables import Usage

_NOTES = ("message", "annotations")
_IMAGE_TOOL = ("tool_usage", "image_gen")
_SEARCH_TOOL = ("tool_usage", "web_search", "num_requests")
UNNAMED_IMAGE_MODEL = "image_generation"  # of a tool that does not say which model drew: nothing prices it

OUTPUT_ITEMS = {
    "web_search_call": SEARCHES,
    "file_search_call": "file_search_calls",
    "code_interpreter_call": "code_interpreter_sessions",
    "image_generation_call": "image_generation_calls",
}
BILLED_ACTIONS = ("search",)


def count_output_items(body: Mapping[str, Any]) -> Units:
    """Count the tools in a Responses body; opening a page found before is no new search.

    ``tool_usage`` says of searches the same as the output, also where that was left out; of a picture it has the
    tokens (``image_tool_runs``), without which nothing tells its price.
    """
    units: dict[str, int] = {}
    sessions = set()
    for item in dicts_in(body.get("output")):
        kind = item.get("type")
        unit = OUTPUT_ITEMS.get(kind) if type(kind) is str else None
        action = item.get("action") if unit else None
        if unit is None or (type(action) is dict and action.get("type", "search") not in BILLED_ACTIONS):
            continue
        if unit == "code_interpreter_sessions":
            sessions.add(str(item.get("container_id")))
        else:
            units[unit] = units.get(unit, 0) + 1
    if sessions:
        units["code_interpreter_sessions"] = len(sessions)
    found = {unit: Decimal(number) for unit, number in units.items()}
    stated = read_quantities({SEARCHES: number}) if (number := follow(body, _SEARCH_TOOL)) else {}
    found |= {unit: max(number, found.get(unit, number)) for unit, number in stated.items()}
    if image_tool_runs(body).iterations:
        found.pop("image_generation_calls", None)
    return _of_size(found, body)


def _of_size(units: Units, body: Mapping[str, Any]) -> Units:
    """Name searches by the size of context that the tool was given; the middle one is the usual one."""
    asked = [tool.get("search_context_size") for tool in dicts_in(body.get("tools"))]
    size = next((word for word in ("low", "high") if word in asked), None)
    return {f"{SEARCHES}_{size}" if size and unit == SEARCHES else unit: units[unit] for unit in units}


def image_tool_runs(body: Mapping[str, Any]) -> Reading:
    """Return what drawing took in a Responses body: tokens of the tool's model, which the body's usage leaves out."""
    reading = read_usage(follow(body, _IMAGE_TOOL), like=True)
    run = reading.usage
    if run is None or not has_tokens(run) or not run.total_tokens:
        return Reading(flags=reading.flags, unread=reading.unread)
    tools = [tool for tool in dicts_in(body.get("tools")) if tool.get("type") == "image_generation"]
    named = next((tool["model"] for tool in tools if type(tool.get("model")) is str), None)
    run.model = named or UNNAMED_IMAGE_MODEL
    settle_answer(run, "image_output_tokens")
    return Reading(iterations=[run], flags=reading.flags, unread=reading.unread)


def settle_answer(usage: Usage, kind: str) -> None:
    """Take all tokens of an answer for those of one kind, where its usage does not split them."""
    if not any(getattr(usage, f"{word}_output_tokens") for word in MODALITIES):
        setattr(usage, kind, usage.completion_tokens)


def count_citations(body: Mapping[str, Any]) -> Units:
    """Tell from what a chat answer cites or found that the model searched; chat states no number, so it is one.

    GLM's found pages stand beside its choices. Source: https://docs.z.ai/guides/tools/web-search.
    """
    notes = [note for choice in dicts_in(body.get("choices")) for note in dicts_in(follow(choice, _NOTES))]
    searched = dicts_in(body.get("web_search")) or any(note.get("type") == "url_citation" for note in notes)
    return {SEARCHES: Decimal(1)} if searched else {}


def count_grounding(body: Mapping[str, Any]) -> Units:
    """Count the searches of a Gemini answer: its distinct queries, the empty ones aside, and the questions to Maps.

    Which models pay by query and which once a prompt, their prices say. Pages that it read from an address that it was
    given are cited as found ones are: only queries tell that it searched, too.
    Source: https://ai.google.dev/gemini-api/docs/google-search.
    """
    found = [dict_in(one.get("groundingMetadata")) for one in dicts_in(body.get("candidates"))]
    queries = {query.strip() for one in found for query in list_in(one.get("webSearchQueries")) if type(query) is str}
    chunks = {kind for one in found for chunk in dicts_in(one.get("groundingChunks")) for kind in chunk}
    by_maps, given = "maps" in chunks, any(one.get("urlContextMetadata") for one in dicts_in(body.get("candidates")))
    searches = 0 if by_maps and "web" not in chunks else len(queries - {""}) or ("web" in chunks and not given)
    units = {SEARCHES: Decimal(searches), "maps_queries": Decimal(by_maps)}
    return {unit: number for unit, number in units.items() if number}


def count_recording(body: Mapping[str, Any]) -> Units:
    """Return the seconds of a transcribed recording, where no usage states them."""
    return {} if type(body.get("usage")) is dict else read_quantities({"input_seconds": body.get("duration") or 0})


def count_pictures(body: Mapping[str, Any]) -> Units:
    """Return how many pictures an answer holds, where no usage states their tokens."""
    drawn = [one for one in dicts_in(body.get("predictions")) if "bytesBase64Encoded" in one]
    pictures = len(dicts_in(body.get("data")) or drawn)
    return {"output_images": Decimal(pictures)} if pictures and type(body.get("usage")) is not dict else {}


def add_predictions(body: Mapping[str, Any]) -> dict[str, int]:
    """Return the tokens of Vertex' embeddings, which each prediction states of itself, as one usage."""
    found = [follow(one, ("embeddings", "statistics", "token_count")) for one in dicts_in(body.get("predictions"))]
    counts = [read_count("" if number is None else number, "token_count") for number in found]
    if not counts or None in counts:
        return {}
    return {"prompt_tokens": sum(filter(None, counts)), "completion_tokens": 0}
