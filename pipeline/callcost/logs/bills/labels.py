"""What a bill's labels mean: the words for token classes, tiers and places, and what is left over is the model.

Providers write the same thing as ``gpt-4o-2024-08-06, cached input``, ``gpt 4o 1120 cached Inp glbl Tokens``,
``Gemini 2.5 Flash GA Text Input - Predictions`` or ``USE1-Claude4.6Opus-cache-read-input-token-count``. The tables here
read the words; a label with no word for a class is unmapped, never guessed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from callcost.logs.bills.lines import BillLine, Kind

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

# What is charged beside tokens, under the names of prices/units.py. The first pattern that is in the label decides.
TOOLS = tuple(
    (re.compile(pattern, re.IGNORECASE), name)
    for pattern, name in (
        (r"guardrail", "guardrail_units"),
        (r"(?:google|grounding with) maps|maps grounding", "maps_queries"),
        (r"web[ _-]?search|search (?:tool|preview|grounding)|grounding", "web_search_requests"),
        (r"file[ _-]?search", "file_search_calls"),
        (r"code[ _-]?interpreter", "code_interpreter_sessions"),
        (r"code[ _-]?execution", "code_execution"),
        (r"cach\w+ storage", "cache_storage"),
        (r"vector[ _-]?stores?", "vector_store"),
        (r"search[ _-]?units?", "input_queries"),
        (r"\b[ti]2i\b|generated[ _-]images?", "output_images"),
    )
)
# Capacity by the hour, reservations and training: no call has them.
# https://docs.aws.amazon.com/bedrock/latest/userguide/prov-throughput.html (model units)
# https://learn.microsoft.com/azure/ai-foundry/openai/concepts/provisioned-throughput (PTU)
# https://cloud.google.com/vertex-ai/generative-ai/docs/provisioned-throughput (GSU)
FEES = re.compile(
    r"provisioned|(?<![a-z])(?:ptus?|gsus?)(?![a-z])|model ?units|scale units?|hosting|month ?commit|reserved"
    r"|(?:in|out)put ?tpm|model ?storage|training",
    re.IGNORECASE,
)

# Phrases of which a word alone would be read wrongly: what they mean, before the label is cut into words.
_PHRASES = tuple(
    (re.compile(pattern, re.IGNORECASE), meaning)
    for pattern, meaning in (
        (r"thinking (?:on|off)\b", "thinking"),
        (r"(?<=token count )(.*?) (?:short|long) input\b", r"\1"),  # Gemini: the band of the prompt, not the class
        (r"(?<![a-z])(?:short|long)[ _-]?(?:context|ctx|co)(?![a-z])|(?<![a-z])l[ _-]?ctx(?![a-z])", " "),
        (r"\b(?:short|long)(?= (?:text|audio|image|video|input|output)\b)", " "),
        (r"[<>\u2264\u2265]=? ?\d+ ?k\b", " "),
        (r"\b5[ -]?min(?:ute)?s?\b", "5m"),
        (r"(?<![\d.])1[ -]?(?:hours?|hr)\b", "1h"),
        (r"\bdata zone\b", "datazone"),
    )
)
_ACRONYMS = {
    "inp": "input", "inpt": "input", "in": "input", "inputs": "input", "prompt": "input",
    "outp": "output", "outpt": "output", "opt": "output", "out": "output", "outputs": "output",
    "completion": "output", "cchd": "cached", "cache": "cached", "caching": "cached", "cd": "cached",
    "aud": "audio", "speech": "audio", "img": "image", "txt": "text", "vid": "video", "wr": "write",
    "writes": "write", "creation": "write", "hit": "read", "reads": "read", "miss": "uncached", "glbl": "global",
    "gl": "global", "dzone": "datazone", "dz": "datazone", "dzn": "datazone", "regnl": "regional",
    "rgnl": "regional", "regn": "regional", "batches": "batch", "btch": "batch", "pp": "priority",
    "prty": "priority", "ephemeral": "", "thinking": "reasoning", "rt": "realtime", "prvw": "preview",
}  # fmt: skip
_TIERS = ("batch", "flex", "priority")
_PLACES = ("global", "datazone", "regional", "geo")
_SIDES = ("input", "output")
_MODALITIES = ("audio", "image", "video")
EMBEDDING = "embedding"  # such a model has input only
# Words that say nothing about which model it is.
_WORDS_OF_NO_MODEL = frozenset({
    "", "1h", "1k", "1m", "5m", "amazon", "anthropic", "azure", "bedrock", "cached", "content", "count", "cross",
    "edition", "for", "ga", "generate", "mantle", "meta", "model", "mp", "no", "of", "online", "openai", "per",
    "prediction", "predictions", "read", "reasoning", "region", "request", "requests", "standard", "text", "the",
    "token", "tokens", "uncached", "unit", "units", "usage", "write", *_TIERS, *_PLACES, *_SIDES,
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
        is_fee: whether it is capacity or the like, which no call has.
    """

    model: str | None
    token_class: str | None
    tier: str | None
    region: str | None
    is_fee: bool = False


@lru_cache(maxsize=4096)  # a bill has few labels in many rows
def tool_of(text: str) -> str | None:
    """Return the tool that a label names; None: it names none."""
    return next((name for pattern, name in TOOLS if pattern.search(text)), None)


@lru_cache(maxsize=4096)
def read_label(text: str) -> Label:
    """Read a bill's own name for a thing.

    >>> read_label("gpt 4o 1120 cached Inp glbl Tokens")[:4]
    ('gpt-4o-1120', 'cache_read', None, 'global')
    >>> read_label("gpt-4o-2024-08-06, output").model
    'gpt-4o-2024-08-06'
    >>> read_label("Gemini 2.5 Flash GA Text Output (Thinking On) - Predictions").model
    'gemini-2.5-flash'
    """
    words = _words_of(text)
    tool = tool_of(text)
    modality = _modality_at(words)
    return Label(
        model=None if tool else _model_of(words, modality),
        token_class=tool or class_of_words(words, modality),
        tier=next((word for word in words if word in _TIERS), None),
        region=next((word for word in words if word in _PLACES), None),
        is_fee=FEES.search(text) is not None,
    )


def _words_of(text: str) -> list[str]:
    for pattern, meaning in _PHRASES:
        text = pattern.sub(meaning, text)
    return [_ACRONYMS.get(word.lower(), word.lower()) for word in _WORD.findall(_CAMEL.sub(" ", text))]


def _modality_at(words: list[str]) -> int | None:
    """Return the place of the word that says what was read or made: beside the side's word, else the last one.

    Another one is part of a name: "gpt-image-1 txt inp", "Gemini 3 Pro Image Text Output".
    """
    sides = [place for place, word in enumerate(words) if word in _SIDES]
    for place in (near for side in sides for near in (side - 1, side + 1)):
        if 0 <= place < len(words) and words[place] in {*_MODALITIES, "text"}:
            return place
    found = (place for place, word in enumerate(words) if word in _MODALITIES and words[place - 1 : place] != ["gpt"])
    return max(found, default=None)


def class_of_words(words: list[str], modality: int | None = None) -> str | None:
    """Return the token class that words mean; caches are looked for before input, which their names contain."""
    present = set(words)
    if "cached" in present and "write" in present:
        return CACHE_WRITE_1H if "1h" in present else CACHE_WRITE_5M if "5m" in present else CACHE_WRITE
    if "uncached" not in present and "no" not in present and "cached" in present:
        return CACHE_READ
    side = next((word for word in words if word in _SIDES), INPUT if EMBEDDING in present else None)
    word = words[modality] if modality is not None else None
    return f"{word}_{side}" if side and word in _MODALITIES else side


def _model_of(words: list[str], modality: int | None) -> str | None:
    unnamed = _WORDS_OF_NO_MODEL - {"text"} if EMBEDDING in words else _WORDS_OF_NO_MODEL  # text-embedding-3-small
    named = [word for place, word in enumerate(words) if word not in unnamed and place != modality]
    return "-".join(named) or None


# Who makes a model, and what its family is called: a label may leave to its heading whose model it is.
FAMILIES = tuple(
    (re.compile(pattern, re.IGNORECASE), family)
    for pattern, family in (
        (r"deepseek", "deepseek"), (r"grok|\bxai\b", "grok"), (r"mistral", "mistral"), (r"llama|\bmeta\b", "llama"),
        (r"\bphi\b", "phi"), (r"kimi|moonshot", "kimi"), (r"qwen|alibaba", "qwen"), (r"cohere", "cohere"),
        (r"anthropic|claude", "claude"), (r"gemini", "gemini"), (r"\bnova\b", "nova"), (r"gpt|openai", "gpt"),
    )
)  # fmt: skip
_BARE = re.compile(r"\d|(?!o\d)[a-z]\d")  # "5.4-pro", "v4-pro", "r1", "k2": no family's name; o3 is one


def with_family(model: str, *headings: str) -> str:
    """Return a model's name with that of its family, where it is only a version: "v4-pro" under "Azure Deepseek".

    Args:
        model: name in a label.
        headings: of the label, most specific first.
    """
    if not _BARE.match(model):
        return model
    found = (family for text in headings for pattern, family in FAMILIES if pattern.search(text))
    family = next(found, "gpt" if model[0].isdigit() else "")
    return f"{family}-{model}".lstrip("-")


def add_label(line: BillLine, label: Label, model: str | None = None) -> bool:
    """Write into a line what its label says.

    Args:
        line: of usage.
        label: read.
        model: name that is stated elsewhere; None: the label's own.

    Returns:
        Whether it is usage that a call can have; else it is a fee, or nobody knows what it is.
    """
    line.model, line.token_class, line.tier = model or label.model, label.token_class, label.tier
    if label.is_fee:
        line.kind = Kind.FEE
    elif label.token_class is None or (label.token_class in TOKEN_CLASSES and line.model is None):
        line.kind = Kind.UNMAPPED
    else:
        line.model = line.model if label.token_class in TOKEN_CLASSES else None
        return True
    line.model = line.token_class = line.tier = None
    return False


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
