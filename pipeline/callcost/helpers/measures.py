"""What a call is charged by that is no token: how to ask for it, and under which names maps list pictures."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from callcost.logs.record.media_calls import NOT_COUNTED as NO_TEXT
from callcost.prices.book.book import Book
from callcost.prices.tariffs import Tariff
from callcost.prices.units import TOKEN_UNITS, unit_of

# Unit of prices/units.py -> what it is called, and what to give so that it is known.
_ASKED = {
    "input_characters": ("characters", "prompt_characters, or the prompt that was spoken"),
    "output_characters": ("characters", "completion_characters"),
    "input_seconds": ("seconds of audio", "audio_transcription_file_duration, or a response with its duration"),
    "audio_input_seconds": ("seconds of audio", "a usage with prompt_audio_seconds"),
    "output_seconds": ("seconds", "response_time_ms, total_time, or a usage with seconds"),
    "video_output_seconds": ("seconds of video", "a usage with seconds"),
    "seconds": ("seconds", "response_time_ms, or total_time"),
    "input_images": ("pictures", "completion_cost(..., size=..., quality=..., n=...), or its response"),
    "output_images": ("pictures", "completion_cost(..., size=..., quality=..., n=...), or its response"),
    "input_pixels": ("pixels", "completion_cost(..., size=..., quality=..., n=...)"),
    "output_pixels": ("pixels", "completion_cost(..., size=..., quality=..., n=...)"),
    "input_queries": ("queries", "number_of_queries, rerank_billed_units, or a response with its billed units"),
    "pages": ("pages", "a usage with pages_processed"),
    "annotation_pages": ("annotated pages", "a usage with pages_processed_annotation"),
    "credits": ("credits", "a usage with credits"),
}
PICTURE_UNITS = ("output_images", "input_images", "output_pixels", "input_pixels")  # maps have them on either side
# Mode of a model in the cost map -> endpoint, for calls of which nothing else says it.
_KINDS = {
    "audio_speech": "speech", "audio_transcription": "transcription", "image_generation": "images",
    "image_edit": "images", "video_generation": "video", "rerank": "rerank", "ocr": "ocr",
}  # fmt: skip
NOT_COUNTED = frozenset(_KINDS.values()) | NO_TEXT  # no text tells what they used
_SIZE = re.compile(r"(\d{1,5})\s*-?\s*[xX×]\s*-?\s*(\d{1,5})")
# What DALL-E draws where a request does not say: https://platform.openai.com/docs/api-reference/images/create
_USUAL_SIZE, _USUAL_QUALITY = "1024x1024", "standard"


class Picture(NamedTuple):
    """What was drawn.

    Attributes:
        number: how many pictures.
        size: such as "1024x1792"; None: the usual one.
        quality: such as "hd"; None: the usual one.
    """

    number: Decimal
    size: str | None
    quality: str | None

    @property
    def usual(self) -> bool:
        """Whether it is of the size and quality that nobody needs to ask for."""
        return _sides(self.size) == _sides(None) and _usual_quality(self.quality)

    @property
    def pixels(self) -> Decimal:
        """All pixels of all of them."""
        width, height = _sides(self.size) or (0, 0)
        return self.number * width * height


@functools.lru_cache
def measures_of(tariff: Tariff) -> list[str]:
    """Return the units beside tokens by which a model is charged; none where it has a rate of tokens, too.

    A tool's fee beside tokens that are free is none; an entry of nothing but tools is charged by them.
    """
    rated = {placed.unit for placed, listed in tariff.rates.items() if listed.rate}
    if tariff.bands or rated & TOKEN_UNITS.keys():
        return []
    found = {unit[0].name for unit in map(unit_of, rated) if unit}
    found -= {"output_seconds"} if "input_seconds" in found else set()  # maps have a recording's on either side
    tools = [] if any(placed.unit in TOKEN_UNITS for placed in tariff.rates) else sorted(found - _ASKED.keys())
    return [*(name for name in _ASKED if name in found), *tools]


def kind_of(book: Book, names: Iterable[Any], moment: int) -> str | None:
    """Return the endpoint of calls to the first model that is listed; None: no name tells."""
    found = (book.resolve(name, None, moment).tariff for name in names if name and isinstance(name, str))
    return next((_KINDS.get(tariff.mode) for tariff in found if tariff is not None), None)


def describe(measures: Iterable[str]) -> tuple[str, str]:
    """Return what a model is priced by, in words, and what to give so that it can be priced."""
    asked = (_ASKED.get(name, (name.replace("_", " "), "a response that shows them")) for name in measures)
    words = list(zip(*asked, strict=True))
    return " and ".join(dict.fromkeys(words[0])), "Give " + "; or ".join(dict.fromkeys(words[1]))


def picture_names(model: str, size: str | None, quality: str | None) -> Iterator[str]:
    """Yield the names under which maps list a model's pictures of a size and quality, the most telling first.

    They are QUALITY/SIZE/MODEL and SIZE/MODEL, a provider before all of it, where sizes are written 1024-x-1792.

    >>> next(picture_names("azure/dall-e-3", "1024x1792", "hd"))
    'azure/hd/1024-x-1792/dall-e-3'
    """
    sides = _sides(size)
    if sides is None:
        return
    sized, usual = "-x-".join(map(str, sides)), _usual_quality(quality)
    provider, slash, name = model.partition("/")
    for stem in (f"{_USUAL_QUALITY if usual else quality}/{sized}", *((sized,) if usual else ())):
        yield from ((f"{provider}/{stem}/{name}",) if slash else ())
        yield f"{stem}/{model}"


def _sides(size: str | None) -> tuple[int, int] | None:
    """Return width and height; None where the size does not state them."""
    found = _SIZE.fullmatch((size or _USUAL_SIZE).strip())
    return (int(found[1]), int(found[2])) if found else None


def _usual_quality(quality: str | None) -> bool:
    return quality in {None, "", "auto", _USUAL_QUALITY}
