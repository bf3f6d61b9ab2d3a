"""Post what a run did to an address of the user's own; what goes wrong is said, and never the end of anything."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import httpx

from callcost.net.http import RETRIED, Patience, TooLateError, within

PATIENCE = Patience(connect=5, read=10, total=30)


def post_run(url: str, run: Mapping[str, Any], patience: Patience = PATIENCE) -> str:
    """Post a JSON document, again where the server fails or is busy, so that it may come twice.

    Args:
        url: address, of which only the server is ever named: what follows may be a secret.
        run: the document.
        patience: how long to wait.

    Returns:
        What went wrong; "": nothing.
    """
    try:
        return within(time.monotonic() + patience.total, lambda: _post(url, run, patience))
    except TooLateError:
        return "no answer in time"
    except Exception as error:  # noqa: BLE001 - whatever it is, the run has ended well; its text may name the address
        return type(error).__name__


def _post(url: str, run: Mapping[str, Any], patience: Patience) -> str:
    problem = ""
    for attempt in range(patience.attempts):
        time.sleep(patience.pause * 2 ** (attempt - 1) if attempt else 0)
        try:
            waits = httpx.Timeout(patience.read, connect=patience.connect)
            with httpx.stream("POST", url, json=dict(run), timeout=waits) as answer:
                if answer.is_success:
                    return ""
                problem = f"{answer.url.host} answered {answer.status_code}"
                if answer.status_code not in RETRIED:
                    return problem
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            problem = type(error).__name__  # its text may name the address
            if isinstance(error, (httpx.UnsupportedProtocol, httpx.InvalidURL, ValueError)):
                return problem
    return problem
