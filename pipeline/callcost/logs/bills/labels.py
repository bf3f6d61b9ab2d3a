"""What a bill's labels mean: the words for token classes, tiers and places, and what is left over is the model.

Providers write the same thing as ``gpt-4o-2024-08-06, cached input``, ``gpt 4o 1120 cached Inp glbl Tokens``,
``Gemini 2.5 Flash GA Text Input - Predictions`` or ``USE1-Claude4.6Opus-cache-read-input-token-count``. The tables here
read the words; a label with no word for a class is unmapped, never guessed.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# Token classes: a partition of what is charged by the token.
INPUT, OUTPUT = "input", "output"
CACHE_READ, CACHE_WRITE, CACHE_WRITE_5M, CACHE_WRITE_1H = (
    "cache_read", "cache_write", "cache_write_5m", "cache_write_1h",
)  # fmt: skip
TOKEN_CLASSES = frozenset({
    INPUT, OUTPUT, CACHE_READ, CACHE_WRITE, CACHE_WRITE_5M, CACHE_WRITE_1H, "audio_input", "image_input",
    "video_input", "audio_output", "image_output", "video_output",
})  # fmt: skip
# A class that a bill does not tell apart is part of the one that it does.
PART_OF = {
    CACHE_WRITE_5M: CACHE_WRITE, CACHE_WRITE_1H: CACHE_WRITE, "audio_input": INPUT, "image_input": INPUT,
    "video_input": INPUT, "audio_output": OUTPUT, "image_output": OUTPUT, "video_output": OUTPUT,
}  # fmt: skip

# Server tools: what is charged beside tokens. The first pattern that is in the label decides.
TOOLS = (
    (re.compile(r"web[ _-]?search|search (?:tool|preview|grounding)|grounding", re.IGNORECASE), "web_search_requests"),
    (re.compile(r"file[ _-]?search", re.IGNORECASE), "file_search_calls"),
    (re.compile(r"code[ _-]?interpreter", re.IGNORECASE), "code_interpreter_sessions"),
    (re.compile(r"code[ _-]?execution", re.IGNORECASE), "code_execution"),
    (re.compile(r"cach\w+ storage", re.IGNORECASE), "cache_storage"),
    (re.compile(r"vector[ _-]?stores?", re.IGNORECASE), "vector_store"),
)

_ACRONYMS = {
    "inp": "input", "inpt": "input", "in": "input", "inputs": "input", "prompt": "input",
    "outp": "output", "outpt": "output", "opt": "output", "out": "output", "outputs": "output",
    "completion": "output", "cchd": "cached", "cache": "cached", "caching": "cached", "cd": "cached",
    "aud": "audio", "img": "image", "txt": "text", "vid": "video", "wr": "write", "writes": "write",
    "creation": "write", "hit": "read", "reads": "read", "glbl": "global", "gl": "global", "dzone": "datazone",
    "dz": "datazone", "dzn": "datazone", "regnl": "regional", "rgnl": "regional", "regn": "regional",
    "batches": "batch", "btch": "batch", "pp": "priority", "prty": "priority", "ephemeral": "", "1h": "1h",
    "5m": "5m", "thinking": "reasoning", "1hr": "1h",
}  # fmt: skip
_TIERS = ("batch", "flex", "priority")
_PLACES = ("global", "datazone", "regional", "geo")
_SIDES = ("input", "output")
_MODALITIES = ("audio", "image", "video")
EMBEDDING = "embedding"  # such a model has input only
# Words that say nothing about which model it is.
_WORDS_OF_NO_MODEL = frozenset({
    "1k", "1m", "amazon", "anthropic", "azure", "bedrock", "count", "cross", "edition", "for", "ga", "mantle",
    "meta", "model", "mp", "no", "of", "online", "openai", "per", "prediction", "predictions", "read", "reasoning",
    "region", "request", "requests", "standard", "text", "the", "token", "tokens", "uncached", "unit", "units",
    "usage", "write",
})  # fmt: skip
_WORD = re.compile(r"[A-Za-z0-9.]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d+h?[A-Z])|(?<=\dh)(?=[A-Z])|(?<=\d)(?=[A-Z][a-z])")


class Label(NamedTuple):
    """What a label says.

    Attributes:
        model: words of the model's name, joined by "-"; None: it names none.
        token_class: one of TOKEN_CLASSES, or the name of a tool; None: it states none.
        tier: batch | flex | priority; None: standard.
        region: global | datazone | regional | geo; None: not stated.
    """

    model: str | None
    token_class: str | None
    tier: str | None
    region: str | None


def read_label(text: str) -> Label:
    """Read a bill's own name for a thing.

    >>> read_label("gpt 4o 1120 cached Inp glbl Tokens")
    Label(model='gpt-4o-1120', token_class='cache_read', tier=None, region='global')
    >>> read_label("gpt-4o-2024-08-06, output").model
    'gpt-4o-2024-08-06'
    """
    words = [_ACRONYMS.get(word.lower(), word.lower()) for word in _WORD.findall(_CAMEL.sub(" ", text))]
    tool = next((name for pattern, name in TOOLS if pattern.search(text)), None)
    return Label(
        model=None if tool else _model_of(words),
        token_class=tool or class_of_words(words),
        tier=next((word for word in words if word in _TIERS), None),
        region=next((word for word in words if word in _PLACES), None),
    )


def class_of_words(words: list[str]) -> str | None:
    """Return the token class that words mean; caches are looked for before input, which their names contain."""
    present = set(words)
    if "cached" in present and "write" in present:
        return CACHE_WRITE_1H if "1h" in present else CACHE_WRITE_5M if "5m" in present else CACHE_WRITE
    if "uncached" not in present and "no" not in present and "cached" in present:
        return CACHE_READ
    side = next((word for word in words if word in _SIDES), INPUT if EMBEDDING in present else None)
    modality = next((word for word in words if word in _MODALITIES), None)
    return f"{modality}_{side}" if side and modality else side


def _model_of(words: list[str]) -> str | None:
    known = {*_TIERS, *_PLACES, *_SIDES, *_MODALITIES, *_WORDS_OF_NO_MODEL, "cached", "1h", "5m"}
    if EMBEDDING in words:
        known.discard("text")  # text-embedding-3-small
    named = [word for word in words if word not in known]
    return "-".join(named) or None


# Anthropic's own names of the classes, in its API, its console and its exports.
ANTHROPIC_CLASSES = {
    "uncached_input_tokens": INPUT, "input_tokens": INPUT, "input": INPUT, "input_no_cache": INPUT,
    "output_tokens": OUTPUT, "output": OUTPUT, "cache_read_input_tokens": CACHE_READ, "input_cache_read": CACHE_READ,
    "cache_read": CACHE_READ, "cache_creation.ephemeral_5m_input_tokens": CACHE_WRITE_5M,
    "ephemeral_5m_input_tokens": CACHE_WRITE_5M, "input_cache_write_5m": CACHE_WRITE_5M,
    "cache_creation.ephemeral_1h_input_tokens": CACHE_WRITE_1H, "ephemeral_1h_input_tokens": CACHE_WRITE_1H,
    "input_cache_write_1h": CACHE_WRITE_1H, "input_cache_write": CACHE_WRITE,
    "cache_creation_input_tokens": CACHE_WRITE, "web_search": "web_search_requests",
    "web_search_requests": "web_search_requests", "web search": "web_search_requests",
    "code_execution": "code_execution",
}  # fmt: skip
