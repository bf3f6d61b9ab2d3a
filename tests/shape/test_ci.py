"""The checks of .ci are what they say they are."""

from __future__ import annotations

import pytest


def test_every_worker_of_the_test_runner_runs_the_size_that_was_asked_for(
    request: pytest.FixtureRequest, *, long_run: bool
) -> None:
    told = getattr(request.config, "workerinput", None)
    if told is None:
        pytest.skip("there are no workers: run with -n")
    assert told["long"] == long_run
