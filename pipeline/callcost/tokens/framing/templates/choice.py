"""Which model's prompts and calls are written by which template.

Plain chats need no template in most families: turns.py knows what their framing costs.
"""

from __future__ import annotations

import re
from functools import partial

from callcost.tokens.framing.templates.deepseek_v3 import write_deepseek
from callcost.tokens.framing.templates.glm import write_glm, write_glm_4_7
from callcost.tokens.framing.templates.harmony import write_harmony
from callcost.tokens.framing.templates.llama import write_llama, write_llama_ollama
from callcost.tokens.framing.templates.parts import CallWriter, Writer
from callcost.tokens.framing.templates.qwen import (
    write_qwen,
    write_qwen_3_5,
    write_qwen_call,
    write_qwen_coder,
    write_qwen_thinking,
    write_qwen_xml_call,
)
from callcost.tokens.model_families import Choice

# First match wins: framing, provider ("": any), models, and who writes a prompt and a call.
TEMPLATES: tuple[tuple[str, str, str, Writer | None, CallWriter | None], ...] = (
    ("qwen", "ollama", "", None, write_qwen_call),
    ("qwen", "", "", write_qwen, write_qwen_call),
    ("qwen-3", "", "max", None, write_qwen_xml_call),
    ("qwen-3", "", "coder", write_qwen_coder, write_qwen_xml_call),
    ("qwen-3", "", "thinking", write_qwen_thinking, write_qwen_call),
    ("qwen-3", "", "", write_qwen, write_qwen_call),
    ("qwen-3.5", "", "", write_qwen_3_5, write_qwen_xml_call),
    ("glm", "", r"glm-?5[.-][2-9]", partial(write_glm_4_7, effort="Reasoning Effort: Max"), None),
    ("glm", "", r"glm-?(4[.-]7|[5-9])", write_glm_4_7, None),
    ("glm", "", r"glm-?(4[.-][5-9]|[5-9])", write_glm, None),
    ("deepseek-v3", "", r"v3[.-]1", write_deepseek, None),
    ("llama-3.1", "ollama", "", write_llama_ollama, None),
    *(("llama-3.1", host, "", None, None) for host in ("groq", "bedrock")),  # they have a template of their own
    ("llama-3.1", "", "", write_llama, None),
    ("gpt-oss", "bedrock", "", partial(write_harmony, instructs=False), None),
    ("gpt-oss", "groq", "", partial(write_harmony, always_instructs=True), None),
    ("gpt-oss", "", "", write_harmony, None),
)


def writers_of(choice: Choice) -> tuple[Writer | None, CallWriter | None]:
    """Return who writes a model's prompts with tools, and its calls; None: the rows of turns.py say what they cost."""
    for framing, provider, models, prompts, calls in TEMPLATES:
        here = framing == choice.framing and provider in {"", choice.provider}
        if here and re.search(models, choice.model):
            return prompts, calls
    return None, None
