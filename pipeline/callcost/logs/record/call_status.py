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
_CACHE_HITS = frozenset((True, "True", "true", "TRUE", "1", "t"))


def status_of(values: Mapping[str, Any]) -> str:
    """Return "success", "failure" or "cache_hit", by a record's own word, its error and its HTTP status."""
    hit = values.get("cache_hit")
    if isinstance(hit, bool | str) and hit in _CACHE_HITS:
        return "cache_hit"
    stated, http = values.get("status"), values.get("http_status")
    if (type(stated) is str and stated.lower() in _FAILURES) or values.get("error"):
        return "failure"
    if type(http) is str and http.isdecimal():
        http = int(http[:9])
    return "failure" if isinstance(http, int) and http >= 400 else "success"


def was_under_way(values: Mapping[str, Any]) -> bool:
    """Tell whether a call failed after its answer may have begun; one that was refused has not."""
    status, http, error = (values.get(name) for name in ("status", "http_status", "error"))
    code = int(http[:9]) if type(http) is str and http.isdecimal() else http
    if type(code) is int and code != _CLIENT_CLOSED:
        return 200 <= code < 300
    names = [error.get(key) for key in ("type", "code", "name", "class")] if type(error) is dict else [error]
    broken = any(_BROKEN_OFF.search(name) for name in names if type(name) is str)
    return code == _CLIENT_CLOSED or broken or (type(status) is str and status.lower() in _CANCELLED)
