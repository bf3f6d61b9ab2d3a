"""When two names are one model, and two spellings one provider.

What a bill calls ``Claude Sonnet 4.5`` or ``Claude4.6Opus`` is ``claude-sonnet-4-5-20250929`` or
``us.anthropic.claude-opus-4-6-v1:0`` in a log. Names are only compared, never priced. A key is the words in any order,
the numbers in theirs, and the month and day of a snapshot where the name has one; nothing near is taken for equal.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from callcost.models import PROVIDER_ALIASES

_DATE = re.compile(r"(?<![\d.])(?:20\d\d-?(\d\d)-?(\d\d)|([01]\d)([0-3]\d))(?![\d.])")
_ENDING = re.compile(r"(?:(?<!claude)-v\d+)?:\d+(?::\d+k)?$|@(?:default|latest)$|\[1m\]$|-latest$", re.IGNORECASE)
_VENDOR = re.compile(
    r"^(?:.*/)?(?:(?:global|us-gov|[a-z]{2,4})\.(?=[a-z0-9]+\.[a-z]))?"
    r"(?:(?:anthropic|meta|amazon|mistral|cohere|ai21|deepseek|openai|qwen|stability|writer)\.)?",
    re.IGNORECASE,
)
_ZERO = re.compile(r"(?<=\d)[.-]0(?![\d.])")  # Nova 2.0 is nova-2, claude-opus-4-0 is claude-opus-4
_PIECE = re.compile(r"[a-z]+|\d+")
_SILENT = frozenset({"instruct", "preview"})

# Bills and cost maps name a provider by product; a comparison needs the one who is paid.
_FAMILIES = (
    (re.compile(r"bedrock.*|aws.*|amazon.*"), "bedrock"),
    (re.compile(r"azure.*|microsoft.*"), "azure"),
    (re.compile(r"vertex_ai.*|google.*|gcp.*|gemini.*"), "google"),
    (re.compile(r"text-completion-openai|openai.*"), "openai"),
    (re.compile(r"anthropic.*"), "anthropic"),
    (re.compile(r"openrouter.*"), "openrouter"),
)


class ModelKey(NamedTuple):
    """A model's name, taken apart.

    Attributes:
        words: words of the name, sorted.
        numbers: numbers of the name, in its order.
        date: month and day of the snapshot, "1120"; "": the name has none.
    """

    words: tuple[str, ...]
    numbers: tuple[str, ...]
    date: str

    @property
    def undated(self) -> ModelKey:
        """The same without its snapshot."""
        return self._replace(date="")


@functools.lru_cache(maxsize=65536)
def model_key(name: str) -> ModelKey:
    """Return what names of one model share.

    >>> model_key("Claude4.6Opus") == model_key("us.anthropic.claude-opus-4-6-v1:0")
    True
    >>> model_key("gpt-4o-2024-11-20") == model_key("gpt 4o 1120")
    True
    >>> model_key("Nova2.0Lite") == model_key("eu.amazon.nova-2-lite-v1:0")
    True
    """
    plain = _ENDING.sub("", _VENDOR.sub("", name.strip(), count=1)).replace("@", "-").replace("_", "-").lower()
    dated = _DATE.search(plain)
    date = "".join(part for part in dated.groups() if part) if dated else ""
    if dated:
        plain = plain[: dated.start()] + " " + plain[dated.end() :]
    pieces = _PIECE.findall(_ZERO.sub("", _ENDING.sub("", plain.strip(" -"))))
    words = tuple(sorted(piece for piece in pieces if not piece.isdigit() and piece not in _SILENT))
    return ModelKey(words, tuple(piece for piece in pieces if piece.isdigit()), date)


@functools.lru_cache(maxsize=4096)
def paid_provider(name: str | None) -> str:
    """Return who is paid, in one spelling for bills, logs and cost maps.

    >>> paid_provider("bedrock_converse"), paid_provider("vertex_ai-anthropic_models"), paid_provider("groq")
    ('bedrock', 'google', 'groq')
    """
    stated = (name or "").strip().lower()
    stated = PROVIDER_ALIASES.get(stated, stated)
    return next((family for pattern, family in _FAMILIES if pattern.fullmatch(stated)), stated.replace(" ", "_"))
