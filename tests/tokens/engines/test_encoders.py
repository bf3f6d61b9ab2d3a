"""Each encoder counts whole strings as the reference does, and any string at all."""

from __future__ import annotations

import threading

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from callcost.errors import TokenizerError
from callcost.tokens.engines import encoders
from callcost.tokens.engines.encoders import Encoder, load_encoder, repair
from callcost.tokens.engines.vocabularies import find_vocabulary, ranks_of, read_tokens
from tests.conftest import examples

NAMES = ["o200k_base", "cl100k_base", "p50k_base", "r50k_base", "claude2", "tekken", "gemma3_ranks"]


@pytest.fixture(params=NAMES)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    """Each bundled vocabulary in turn."""
    return load_encoder(request.param)


def test_a_list_of_texts_counts_as_each_of_them(encoder: Encoder) -> None:
    texts = ["Hellö World, this is my input string!", "", "中文", "x" * 300_000]

    assert encoder.count(texts) == [len(encoder.encode(text)) for text in texts]


@pytest.mark.parametrize("name", ["o200k_base", "cl100k_base"])
def test_a_few_texts_are_counted_by_their_own_ranks_as_by_all(name: str) -> None:
    whole = load_encoder(name)
    words = ["hello", " world", " internationalization", "\n\n\n", " " * 90, "=" * 70, "é中🙂", "'LL", "\ud800", "17"]
    own = encoders.RanksEncoder(whole.vocabulary)

    @given(drawn=st.lists(st.lists(st.sampled_from(words) | st.text(max_size=9), max_size=6), max_size=3))
    @examples(20, 500)
    def counts_alike(drawn: list[list[str]]) -> None:
        own._left = 10_000
        texts = ["x", *("".join(parts) for parts in drawn)]
        assert own.count(texts) == [len(whole.encode(text)) for text in texts]
        assert own._all is None

    counts_alike()
    own.count(["x " * 20_000])
    assert own._all is not None  # of so much text, all ranks are set up


def test_the_ids_are_tiktokens() -> None:
    assert load_encoder("cl100k_base").encode("hello world") == [15339, 1917]
    assert load_encoder("o200k_base").encode("hello world") == [24912, 2375]


def test_an_empty_text_has_no_tokens(encoder: Encoder) -> None:
    assert encoder.count([""]) == [0]
    assert encoder.encode("") == []
    assert encoder.decode([]) == ""


def test_special_tokens_written_in_a_text_are_text(encoder: Encoder) -> None:
    text = "<|endoftext|><EOT><META><|im_start|>"

    assert encoder.count([text])[0] > 8
    assert encoder.decode(encoder.encode(text)) == text


def test_special_ids_of_a_model_decode_to_their_names() -> None:
    assert load_encoder("o200k_base").decode([24912, 199999]) == "hello<|endoftext|>"


def test_lone_surrogates_count_as_the_replacement_character(encoder: Encoder) -> None:
    broken = "a\ud800b\udc00"

    assert encoder.count([broken]) == encoder.count(["a\ufffdb\ufffd"])
    assert encoder.encode(broken) == encoder.encode(repair(broken))


def test_a_surrogate_pair_is_the_character_it_stands_for(encoder: Encoder) -> None:
    assert encoder.encode("\ud83d\ude00") == encoder.encode("😀")


@pytest.mark.parametrize("ids", [[10**7], [2**40], [-1]])
def test_an_id_outside_the_vocabulary_is_a_named_error(ids: list[int]) -> None:
    with pytest.raises(TokenizerError, match="o200k_base"):
        load_encoder("o200k_base").decode(ids)


def test_two_threads_get_one_and_the_same_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "_loaded", {})
    found: list[Encoder] = []
    threads = [threading.Thread(target=lambda: found.append(load_encoder("r50k_base"))) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(map(id, found))) == 1


def test_names_of_alike_vocabularies_are_one_encoder() -> None:
    assert load_encoder("gpt2") is load_encoder("r50k_base")
    assert load_encoder("o200k_harmony") is load_encoder("o200k_base")


@pytest.mark.parametrize("name", ["o200k_base", "cl100k_base", "r50k_base"])
@pytest.mark.parametrize(
    "text",
    [
        " " * 1_100_000,
        " " * 1_100_000 + "x",
        "x" + " " * 1_100_000 + "x",
        "!\n \n" + "\u00a0" * 1_100_000 + "1",
        " " * 1_100_000 + "\n" + " " * 1_100_000 + "!",
        "x" + "\t\n" * 600_000 + "x",
        "\n" * 1_100_000 + "x",
    ],
    ids=["end", "before a letter", "between", "after lines", "around a line", "mixed", "lines"],
)
def test_more_blanks_than_the_expression_engine_can_hold_are_counted(name: str, text: str) -> None:
    encoder = load_encoder(name)

    assert encoder.decode(encoder.encode(text)) == text


def test_the_reference_itself_refuses_so_many_blanks() -> None:
    """Why the runs are counted apart; when this fails, tiktoken has learned it and cuts.py may shrink."""
    row = find_vocabulary("o200k_base")
    ranks = ranks_of(read_tokens(row))
    reference = tiktoken.Encoding("r", pat_str=row.pattern, mergeable_ranks=ranks, special_tokens={})

    with pytest.raises(ValueError, match="regex"):
        reference.encode(" " * 1_100_000, disallowed_special=())
