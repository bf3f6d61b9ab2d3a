"""What the URL of an API says about its price: OpenAI's regional hosts, the regions of Bedrock and Vertex."""

from __future__ import annotations

import re
from typing import Any

# Column -> what the URL says. A region in the host is where the call was served.
_TERMS = (
    ("data_residency", re.compile(r"//(eu|us)\.api\.openai\.com")),
    ("region", re.compile(r"//bedrock-runtime(?:-fips)?\.([a-z]{2}(?:-[a-z]+)+-\d)\.")),
    ("region", re.compile(r"//([a-z]+-[a-z]+\d+)-aiplatform\.googleapis")),
    ("region", re.compile(r"googleapis\.com/.*/locations/([a-z0-9-]+)/")),
)


def read_host(url: Any) -> dict[str, str]:
    """Return the columns that a URL decides.

    >>> read_host("https://eu.api.openai.com/v1")
    {'data_residency': 'eu'}
    """
    if type(url) is not str or "//" not in url:
        return {}
    found: dict[str, str] = {}
    for column, pattern in _TERMS:
        match = pattern.search(url)
        if match:
            found.setdefault(column, match[1])
    return found
