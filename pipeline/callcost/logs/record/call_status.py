"""Whether a call succeeded, failed or was spared by a cache, and whether a failure came after an answer had begun.

Providers bill what they generated of an answer that broke off, and nothing of a request that they refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_CANCELLED = frozenset(["cancelled", "canceled", "aborted", "interrupted"])
_FAILURES = frozenset(["failure", "failed", "fail", "error", "errored", "expired"]) | _CANCELLED
# Errors of a call that was under way: the provider may have answered, and bills that (litellm pulls 30630, 33736).
_BROKEN_OFF = re.compile(r"(?i)cancel|abort|disconnect|interrupt|client.?closed|broken.?pipe|connection.?reset")
_CLIENT_CLOSED = 499  # nginx's code for a client that hung up
_CACHE_HITS = frozenset((True, "True", "true", "TRUE", "1", "t", "Hit", "hit", "HIT"))


def status_of(values: Mapping[str, Any]) -> str:
    """Return "success", "failure" or "cache_hit", by a record's own word, its error and its HTTP status."""
    hit = values.get("cache_hit")
    if isinstance(hit, bool | str) and hit in _CACHE_HITS:
        return "cache_hit"
    stated = values.get("status")
    if (type(stated) is str and stated.lower() in _FAILURES) or values.get("error"):
        return "failure"
    return "failure" if (_code_of(values) or 0) >= 400 else "success"


def _code_of(values: Mapping[str, Any]) -> int | None:
    http = values.get("http_status")
    if type(http) is str and http.isdecimal():
        return int(http[:9])
    return http if type(http) is int else None


def was_under_way(values: Mapping[str, Any]) -> bool:
    """Tell whether a call failed after its answer may have begun; one that was refused has not."""
    status, error, code = values.get("status"), values.get("error"), _code_of(values)
    if code is not None and code != _CLIENT_CLOSED:
        return 200 <= code < 300
    names = [error.get(key) for key in ("type", "code", "name", "class")] if type(error) is dict else [error]
    broken = any(_BROKEN_OFF.search(name) for name in names if type(name) is str)
    return code == _CLIENT_CLOSED or broken or (type(status) is str and status.lower() in _CANCELLED)
