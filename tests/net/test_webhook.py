"""What goes wrong while a run is posted is named without its address, and ends nothing."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from callcost.net import webhook
from callcost.net.http import Patience

SECRET = "https://hooks.example/secret-token"


def test_an_error_that_nobody_expects_is_named_by_its_kind_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def post(*_: Any, **__: Any) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(httpx, "stream", post)
    assert webhook.post_run(SECRET, {}) == "RuntimeError"


def test_a_server_that_never_answers_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpx, "stream", lambda *_, **__: time.sleep(60))
    assert webhook.post_run(SECRET, {}, Patience(total=0.05)) == "no answer in time"
