"""The user's own prices: exact, dated, and refused with the key that is wrong."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from callcost.errors import ConfigError
from callcost.prices.book.archive import microseconds
from callcost.prices.book.overrides import Overrides, load_overrides

EVERYTHING = """
[rates."gpt-4o"]
input_cost_per_token = 2e-6
output_cost_per_token = "7.5e-6"
max_tokens = 1000

[[rates."team/model"]]
input_cost_per_token = 0.000001
[[rates."team/model"]]
input_cost_per_token = 0.000002
tiered_pricing = [{range = [0, 1000], input_cost_per_token = 3e-6}]
effective_from = 2025-03-01
replace = true

[[discounts]]
provider = "openai"
percent = 12.5

[[discounts]]
model = "gpt-4o"
percent = 50
effective_from = "2025-06-01T12:00:00+02:00"

[aliases]
"my-deployment" = "azure/gpt-4o"
"team-profile" = { model = "claude-opus-4-20250514", effective_from = 2025-06-01 }
"""


@pytest.fixture
def everything(tmp_path: Path) -> Overrides:
    return load_overrides(write(tmp_path, EVERYTHING))


def write(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_rates_are_the_files_own_decimals(everything: Overrides) -> None:
    rates = everything.rates("gpt-4o", None)
    assert rates is not None
    assert dict(rates.fields) == {
        "input_cost_per_token": Decimal("0.000002"),
        "output_cost_per_token": Decimal("0.0000075"),
        "max_tokens": 1000,
    }
    assert rates.place == 'mine.toml: rates."gpt-4o"'


def test_of_several_dates_the_latest_that_has_begun_holds(everything: Overrides) -> None:
    march = microseconds("2025-03-01")
    before, after, undated = (everything.rates("team/model", at) for at in (march - 1, march, None))
    assert before is not None
    assert after is not None
    assert before.fields["input_cost_per_token"] == Decimal("1e-6")
    assert after == undated
    assert after.fields["tiered_pricing"] == [{"range": [0, 1000], "input_cost_per_token": Decimal("3e-6")}]
    assert after.place == 'mine.toml: rates."team/model"[1]'


def test_the_moments_are_those_from_which_something_holds(everything: Overrides) -> None:
    dates = ("2025-03-01", "2025-06-01", "2025-06-01T10:00:00Z")
    assert sorted(everything.moments) == [microseconds(date) for date in dates]


def test_rates_lie_over_the_map_unless_they_replace_it(everything: Overrides) -> None:
    listed = {"input_cost_per_token": Decimal(1), "cache_read_input_token_cost": Decimal(2)}
    laid, replaced = everything.rates("gpt-4o", None), everything.rates("team/model", None)
    assert laid is not None
    assert replaced is not None
    assert laid.over(listed) == {**listed, **laid.fields}
    assert laid.over(None) == laid.fields
    assert replaced.over(listed) == replaced.fields


def test_a_models_discount_wins_over_its_providers(everything: Overrides) -> None:
    june = microseconds("2025-06-01T10:00:00Z")
    later, earlier = everything.discount("gpt-4o", "openai", june), everything.discount("gpt-4o", "openai", june - 1)
    assert later is not None
    assert later.factor == Decimal("0.5")
    assert earlier is not None
    assert earlier.factor == Decimal("0.875")
    assert earlier.place == "mine.toml: discounts[0]"
    assert everything.discount("o3", "openai", None) == earlier
    assert everything.discount("o3", "azure", None) is None
    assert everything.discount("o3", None, None) is None


def test_an_alias_holds_from_its_date(everything: Overrides) -> None:
    june = microseconds("2025-06-01")
    assert everything.alias("team-profile", june) == "claude-opus-4-20250514"
    assert everything.alias("team-profile", june - 1) is None
    assert everything.alias("my-deployment", None) == "azure/gpt-4o"


def test_json_says_the_same_as_toml(tmp_path: Path) -> None:
    text = '{"rates": {"m": {"input_cost_per_token": 3.0e-7}}, "aliases": {"a": "m"}, "discounts": []}'
    overrides = load_overrides(write(tmp_path, text, "mine.json"))
    rates = overrides.rates("m", 0)
    assert rates is not None
    assert rates.fields["input_cost_per_token"] == Decimal("3e-7")


def test_no_file_overrides_nothing() -> None:
    nothing = Overrides()
    assert (nothing.rates("m", None), nothing.alias("m", None), nothing.discount("m", "p", None)) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[rates", "is neither TOML nor JSON"),
        ("{]", "is neither TOML nor JSON"),
        ("\x00", "is neither TOML nor JSON"),
        ("[price.m]\ninput_cost_per_token = 1", "price: there is no such section"),
        ("rates = 1", "rates: is not a table"),
        ('rates."m" = 1', 'rates."m"[0]: is not a table'),
        ('[rates."m"]\nmax_tokens = 1', 'rates."m": holds no rate'),
        ('[rates."m"]\ninput_cost_per_token = "cheap"', "rates.\"m\".input_cost_per_token: 'cheap' is no price"),
        ('[rates."m"]\ninput_cost_per_tokn = 1', 'rates."m".input_cost_per_tokn: no price is called that'),
        ('[rates."m"]\ninput_cost_per_token = -1', "is no price"),
        ('[rates."m"]\ninput_cost_per_token = nan', "is no price"),
        ('[rates."m"]\ninput_cost_per_token = 1e999', "rates.\"m\".input_cost_per_token: '1E+999' is no price"),
        ('[rates."m"]\ninput_cost_per_token = 1e30', "rates.\"m\".input_cost_per_token: '1E+30' is no price"),
        ('[rates."m"]\ninput_cost_per_token = -inf', "rates.\"m\".input_cost_per_token: '-Infinity' is no price"),
        ('[rates."m"]\ninput_cost_per_image = 1e6', "rates.\"m\".input_cost_per_image: '1E+6' is no price"),
        ('[rates."m"]\ninput_cost_per_token = 2.5', "rates.\"m\".input_cost_per_token: '2.5' is over 1 dollar a token"),
        ('[rates."m"]\ninput_cost_per_token = 1e-6\nmax_tokens = nan', "rates.\"m\".max_tokens: 'NaN' is no number"),
        (
            '[rates."m".search_context_cost_per_query]\nsearch_context_size_low = -1',
            "rates.\"m\".search_context_cost_per_query.search_context_size_low: '-1' is no price",
        ),
        ('[rates."m"]\ninput_cost_per_token = true', "is no price"),
        (
            '[[rates."m".tiered_pricing]]\nrange = [0, 1]\ninput_cost_per_token = -1',
            "rates.\"m\".tiered_pricing.0.input_cost_per_token: '-1' is no price",
        ),
        ('[rates."m"]\ninput_cost_per_token = 1\nreplace = 1', 'rates."m".replace: 1 is not true or false'),
        (
            '[rates."m"]\ninput_cost_per_token = 1\neffective_from = "soon"',
            "rates.\"m\".effective_from: 'soon' is no date",
        ),
        ('[rates."m"]\ninput_cost_per_token = 1\neffective_from = 12', "'12' is no date"),
        ("[discounts]\npercent = 1", "discounts: is not a list of tables"),
        ('[[discounts]]\nprovider = "p"\npercent = 101', "discounts[0].percent: 101 is not a number from 0 to 100"),
        ('[[discounts]]\nprovider = "p"\npercent = inf', "is not a number from 0 to 100"),
        ('[[discounts]]\nprovider = "p"\npercent = 1e999', "discounts[0].percent: Decimal('1E+999') is not a number"),
        ('[[discounts]]\nprovider = "p"\npercent = nan', "is not a number from 0 to 100"),
        ('[[discounts]]\nprovider = "p"\npercent = -1', "discounts[0].percent: -1 is not a number from 0 to 100"),
        ('[[discounts]]\nprovider = "p"\npercent = true', "discounts[0].percent: True is not a number from 0 to 100"),
        ('[[discounts]]\nprovider = " "\npercent = 1', "a discount is for one"),
        ('[[discounts]]\nprovider = "p"', "discounts[0].percent: None is not a number from 0 to 100"),
        ("[[discounts]]\npercent = 1", "a discount is for one"),
        ('[[discounts]]\npercent = 1\nprovider = "p"\nmodel = "m"', "a discount is for one"),
        ("[aliases]\na = 1", 'aliases."a"[0]: is not a table'),
        ('[aliases]\na = ""', "an alias is a model in quotes"),
        ('[aliases]\na = " "', "an alias is a model in quotes"),
        ('[aliases]\na = { model = "m", to = "n" }', "an alias is a model in quotes"),
        ('[aliases]\na = "a"', 'aliases."a": stands for itself, by way of "a"'),
        ('[aliases]\na = "b"\nb = "c"\nc = "a"', 'aliases."a": stands for itself, by way of "c"'),
    ],
)
def test_a_wrong_key_is_named_with_its_file(tmp_path: Path, text: str, why: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_overrides(path)
    assert caught.value.message.startswith(f"{path}: ")
    assert why in caught.value.message
    assert caught.value.hint


def test_rates_above_a_dollar_a_token_are_taken_by_force_alone(tmp_path: Path) -> None:
    path = write(tmp_path, '[rates."m"]\ninput_cost_per_token = 2.5\ninput_cost_per_image = 40\n')
    with pytest.raises(ConfigError, match=r"per million tokens; --force takes them"):
        load_overrides(path)

    rates = load_overrides(path, force=True).rates("m", None)

    assert rates is not None
    assert rates.fields["input_cost_per_token"] == Decimal("2.5")


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "1e30", '"abc"', "true"])
def test_force_takes_nothing_that_is_no_price(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match="is no price"):
        load_overrides(write(tmp_path, f'[rates."m"]\ninput_cost_per_token = {value}\n'), force=True)


def test_a_name_may_stand_for_itself_again_from_a_date_on(tmp_path: Path) -> None:
    text = '[[aliases."a"]]\nmodel = "b"\n[[aliases."a"]]\nmodel = "a"\neffective_from = 2025-06-01\n'
    assert load_overrides(write(tmp_path, text)).alias("a", None) == "a"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the prices of .*none\.toml \(No such file"):
        load_overrides(tmp_path / "none.toml")


def test_a_deeply_nested_json_is_refused(tmp_path: Path) -> None:
    nested = json.dumps({"rates": {}})[:-2] + '"a":' + "[" * 100_000 + "]" * 100_000 + "}}"
    with pytest.raises(ConfigError, match="is neither TOML nor JSON"):
        load_overrides(write(tmp_path, nested, "deep.json"))


@pytest.mark.parametrize(
    "text",
    [
        f"[rates.m]\ninput_cost_per_token = 1e-6\n[rates.m.tiered_pricing{'.a' * 5_000}]\nb = 1",
        f"[rates.m]\nsearch_context_cost_per_query{'.a' * 5_000} = 1e-6",
        f"[rates.m]\nreplace{'.a' * 5_000} = 1\ninput_cost_per_token = 1e-6",
        f'[[discounts]]\npercent{".a" * 5_000} = 1\nprovider = "openai"',
        f"[rates.m]\neffective_from{'.a' * 5_000} = 1\ninput_cost_per_token = 1e-6",
    ],
)
def test_what_is_nested_deeply_by_dotted_keys_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mine\.toml: is nested too deeply"):
        load_overrides(path)
