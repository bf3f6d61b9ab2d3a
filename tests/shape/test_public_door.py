"""The public door: what it names is there, described, and opens without work."""

from __future__ import annotations

import inspect
import pickle

import pytest

import pipeline
from pipeline import errors

ERRORS = [
    value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, errors.CallcostError)
]


@pytest.mark.parametrize("name", pipeline.__all__)
def test_every_public_name_is_there(name: str) -> None:
    value = getattr(pipeline, name)
    if callable(value):
        assert inspect.getdoc(value), f"{name} is not described"


def test_the_door_names_no_more_than_it_has() -> None:
    assert sorted(set(pipeline.__all__)) == list(pipeline.__all__) == dir(pipeline)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        pipeline.nonsense  # noqa: B018


def test_every_error_is_in_the_tree_that_is_drawn() -> None:
    assert len(ERRORS) >= 8
    for error in ERRORS:
        assert error.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
@pytest.mark.parametrize("hint", ["", "Do this"])
def test_an_error_survives_the_way_out_of_a_worker(error: type[errors.CallcostError], hint: str) -> None:
    """An exception that cannot be unpickled kills the whole pool of processes."""
    back = pickle.loads(pickle.dumps(error("the thing", hint=hint)))
    assert type(back) is error
    assert (back.message, back.hint, str(back)) == ("the thing", hint, str(error("the thing", hint=hint)))


def test_errors_have_a_slug_and_an_exit_code_each() -> None:
    assert len({error.slug for error in ERRORS}) == len(ERRORS)
    assert {error.exit_code for error in ERRORS} <= {1, 2, 4}
