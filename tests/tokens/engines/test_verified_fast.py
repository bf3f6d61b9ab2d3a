"""A fast engine counts only while it agrees with the reference, and never what it is known to get wrong."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from callcost.tokens.engines import verified_fast as fast
from callcost.tokens.engines.encoders import load_encoder
from callcost.tokens.engines.text_counter import TextCounter, frequent_texts
from callcost.tokens.engines.verified_fast import (
    AMPLE_CHARS,
    GigatokenCounter,
    ToktokCounter,
    TrustedEncoder,
    awkward_strings,
    is_fit,
    load_counter,
    sample_of,
)
from callcost.tokens.engines.vocabularies import find_vocabulary

REFERENCE = load_encoder("cl100k_base")
SCALARS = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]


class Engine:
    """An engine that is right but for the texts that it is told to get wrong."""

    name = "engine 1.0"

    def __init__(self, wrong: Callable[[str], bool] = lambda _text: False) -> None:
        self.wrong = wrong
        self.seen: list[str] = []

    def count(self, texts: Sequence[str]) -> list[int]:
        self.seen += texts
        return [count + self.wrong(text) for text, count in zip(texts, REFERENCE.count(texts), strict=True)]


def test_an_engine_that_agrees_counts() -> None:
    engine = Engine()
    encoder = TrustedEncoder(REFERENCE, lambda: engine)

    assert encoder.count(["hello world", "no", "yes"]) == [2, 1, 1]

    assert (encoder.engine, encoder.mismatches, encoder.rechecked) == ("engine 1.0", 0, len(awkward_strings()))
    assert engine.seen[-3:] == ["hello world", "no", "yes"]


def test_encoding_and_decoding_are_the_references() -> None:
    encoder = TrustedEncoder(REFERENCE, Engine)

    assert encoder.encode("hello world") == [15339, 1917]
    assert encoder.decode([15339, 1917]) == "hello world"


def test_an_engine_that_fails_an_awkward_string_never_counts(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine(wrong=lambda text: text == "B's")
    encoder = TrustedEncoder(REFERENCE, lambda: engine)
    engine.seen.clear()

    assert encoder.count(["B's", "hello world"]) == [2, 2]

    assert encoder.mismatches == 1
    assert engine.seen == []
    assert "engine 1.0" in caplog.text


def test_a_difference_in_the_sample_ends_its_use_and_the_batch_is_counted_again() -> None:
    sampled = sample_of(list(map(str, range(10**6))))[0]
    encoder = TrustedEncoder(REFERENCE, lambda: Engine(wrong=lambda text: text in {"12345", sampled}))
    assert encoder.mismatches == 0

    assert encoder.count(["12345", sampled]) == REFERENCE.count(["12345", sampled])

    assert encoder.mismatches == 1
    assert encoder.count(["12345"]) == REFERENCE.count(["12345"])


@pytest.mark.parametrize("text", ["a'\u017f", "x\u088f", "\U000323b0", "a\ud800", "\u1ae0"])
def test_what_it_is_known_to_get_wrong_never_reaches_the_engine(text: str) -> None:
    engine = Engine()
    encoder = TrustedEncoder(REFERENCE, lambda: engine)

    assert encoder.count(["plain", text, "é 🙂"]) == REFERENCE.count(["plain", text, "é 🙂"])

    assert text not in engine.seen
    assert not is_fit(text)


def test_ordinary_text_of_any_script_is_fit() -> None:
    assert all(map(is_fit, ["", "plain", "é", "中文", "한국어", "हिन्दी", "🙂👩\u200d👧", "𝒜", "\U00020000"]))


def test_one_text_in_a_thousand_is_checked_the_same_in_every_run() -> None:
    texts = list(map(str, range(100_000)))
    sample = sample_of(texts)

    assert 50 < len(sample) < 150
    assert sample == [text for text in texts if sample_of([text])]


def test_little_text_is_left_to_the_reference() -> None:
    made: list[Engine] = []

    def make() -> Engine:
        made.append(Engine())
        return made[0]

    encoder = TrustedEncoder(REFERENCE, make, worth=100)

    assert encoder.count(["hello world"]) == [2]
    assert (made, encoder.counting_engine) == ([], REFERENCE.engine)
    assert encoder.count(["word " * 20]) == REFERENCE.count(["word " * 20])
    assert (len(made), encoder.counting_engine) == (1, "engine 1.0")
    assert encoder.count(["hello world"]) == [2]
    assert made[0].seen[-2:] == ["word " * 20, "hello world"]
    assert not encoder.refuted


def test_where_there_is_much_text_the_engine_comes_sooner() -> None:
    made: list[Engine] = []

    def make() -> Engine:
        made.append(Engine())
        return made[0]

    encoder = TrustedEncoder(REFERENCE, make, worth=10 * AMPLE_CHARS)
    encoder.hasten()

    assert encoder.count(["a" * (AMPLE_CHARS // 2)]) == REFERENCE.count(["a" * (AMPLE_CHARS // 2)])
    assert not made
    assert encoder.count(["b" * AMPLE_CHARS]) == REFERENCE.count(["b" * AMPLE_CHARS])
    assert made


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No encoder loaded yet, nothing remembered of other tests, and any text is worth a fast engine."""
    frequent_texts.cache_clear()
    monkeypatch.setattr(fast, "_loaded", {})
    monkeypatch.setattr(fast, "WORTH_CHARS", 1)


@pytest.mark.usefixtures("fresh")
def test_without_a_fast_engine_the_reference_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "_is_installed", lambda _module: False)

    assert load_counter("cl100k_base") is REFERENCE


@pytest.mark.usefixtures("fresh")
def test_an_installed_engine_is_used_for_the_vocabularies_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [("some_module", lambda row: row.name == "cl100k_base", lambda _row: Engine())]
    monkeypatch.setattr(fast, "_ENGINES", made)
    monkeypatch.setattr(fast, "_is_installed", lambda _module: True)

    assert isinstance(load_counter("cl100k_base"), TrustedEncoder)
    assert load_counter("cl100k_base") is load_counter("cl100k_base")
    assert load_counter("r50k_base") is load_encoder("r50k_base")


@pytest.mark.usefixtures("fresh")
def test_the_statistics_name_both_engines_and_what_was_rechecked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "_ENGINES", [("some_module", lambda _row: True, lambda _row: Engine())])
    monkeypatch.setattr(fast, "_is_installed", lambda _module: True)

    with TextCounter() as counter:
        assert counter.count("cl100k_base", Counter(["hello world"])) == {"hello world": 2}
        stats = counter.stats()
    with TextCounter(fast=False) as plain:
        plain.count("cl100k_base", Counter(["hello world"]))

    assert stats.engines == {"engine 1.0", REFERENCE.engine}
    assert (stats.rechecked, stats.mismatches) == (len(awkward_strings()), 0)
    assert plain.stats().engines == {REFERENCE.engine}


def real_engines() -> list[tuple[str, Callable[[], TrustedEncoder]]]:
    """The engines of the [fast] extra with the vocabularies they count."""

    def made(kind: type[ToktokCounter | GigatokenCounter], name: str) -> TrustedEncoder:
        return TrustedEncoder(load_encoder(name), lambda: kind(find_vocabulary(name)))

    return [
        ("toktok", lambda: made(ToktokCounter, "o200k_base")),
        ("toktok", lambda: made(ToktokCounter, "cl100k_base")),
        ("gigatoken", lambda: made(GigatokenCounter, "claude2")),
    ]


@pytest.fixture(params=real_engines(), ids=["o200k", "cl100k", "claude2"])
def real(request: pytest.FixtureRequest) -> TrustedEncoder:
    """A real engine, where the [fast] extra is installed."""
    module, make = request.param
    pytest.importorskip(module)
    encoder: TrustedEncoder = make()
    return encoder


def test_the_real_engines_pass_the_awkward_strings(real: TrustedEncoder) -> None:
    assert real.mismatches == 0


@pytest.mark.timeout(3600)
def test_the_real_engines_agree_on_fuzzed_strings(real: TrustedEncoder, long_run: bool) -> None:
    chance = random.Random(11)
    pieces = [*awkward_strings()[:1200], *chance.sample(SCALARS, 3000), *("the", " of", "ing", "123", "Hello")]
    texts = ["".join(chance.choices(pieces, k=chance.randint(1, 12))) for _ in range(200_000 if long_run else 4_000)]

    assert real.count(texts) == real.reference.count(texts)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_real_engines_agree_on_every_unicode_scalar(real: TrustedEncoder, long_run: bool) -> None:
    scalars = SCALARS if long_run else SCALARS[::257]
    for start in range(0, len(scalars), 5000):
        some = scalars[start : start + 5000]
        texts = [f"a{sign}b'{sign} x A{sign}'s {sign}1{sign}\n{sign}\n!{sign}" for sign in some]
        assert real.count(texts) == real.reference.count(texts), f"after U+{ord(some[0]):04X}"


def test_gigatoken_is_made_anew_before_its_cache_grows_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gigatoken")
    monkeypatch.setattr(fast, "RECYCLE_CHARS", 10)
    engine = GigatokenCounter(find_vocabulary("claude2"))

    engine.count(["short"])
    first = engine._tokenizer
    engine.count(["a longer text"])

    assert engine._tokenizer is not first
