"""Whose rate is taken where a model's entry has none of a unit's own, and whether that is a guess.

When one of them is taken is left to ``rates.py``; what providers document instead is in ``documented_factors.py``.
"""

from __future__ import annotations

from typing import NamedTuple

from callcost.prices.tariffs import Tariff

_TEXT_MODES = frozenset({"chat", "responses", "completion", ""})  # "": an entry of the user's own need not say
_THINKING_APART = frozenset({"dashscope", "qwen_ai_platform", "qwencloud"})


class StandIn(NamedTuple):
    """Whose rate is taken where the entry has none of the unit's own.

    Attributes:
        unit: whose.
        fair_modes: modes in which this is the field's practice and no guess, of models that price nothing of the
            modality apart; None: all.
        unfair_providers: whose models price the unit apart, so that it is a guess all the same.
        follows: that unit's rate of the tier goes before the own standard rate.
    """

    unit: str
    fair_modes: frozenset[str] | None = frozenset()
    unfair_providers: frozenset[str] = frozenset()
    follows: bool = False

    def is_fair(self, tariff: Tariff, modality: str) -> bool:
        """Say whether the rate that is missing cannot be expected to be higher."""
        if self.fair_modes is None:
            return tariff.provider not in self.unfair_providers
        return tariff.mode in self.fair_modes and modality not in tariff.modalities


# A charge at a stand-in that is not fair keeps its call from being plainly priced.
STAND_INS = {
    "cache_read": StandIn("text_input"),
    "cache_read_audio": StandIn("cache_read"),
    "cache_read_image": StandIn("cache_read", _TEXT_MODES),
    "cache_read_video": StandIn("cache_read", _TEXT_MODES),
    "cache_write_5m": StandIn("text_input"),
    "cache_write_1h": StandIn("cache_write_5m"),
    "audio_input": StandIn("text_input"),
    "image_input": StandIn("text_input", _TEXT_MODES),  # models that chat read images at the price of text
    "video_input": StandIn("text_input", _TEXT_MODES),
    "text_output": StandIn("image_output", None),  # models that only draw
    "reasoning": StandIn("text_output", None, _THINKING_APART, follows=True),
    "audio_output": StandIn("text_output"),
    "image_output": StandIn("text_output"),
    "video_output": StandIn("text_output"),
    "explicit_cache_read_tokens": StandIn("cache_read"),
    "cache_write_12h_tokens": StandIn("cache_write_1h"),
    "cache_write_audio_tokens": StandIn("cache_write_5m"),
    "citation_tokens": StandIn("text_input"),
    "input_seconds": StandIn("output_seconds", None),  # the map has a recording's seconds on either side
    "output_images": StandIn("input_images", frozenset({"image_generation"})),  # and so a drawn picture
}
# Units whose rate of 0 may mean that the other side's holds.
EITHER_SIDE = frozenset({"text_output", "input_seconds"})
# Units with a batch rate of their own even where the map names none: half of their standard rate.
HALVED = frozenset({"text_input", "cache_read", "cache_write_5m", "cache_write_1h", "text_output", "image_output"})
