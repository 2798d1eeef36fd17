"""The table of learning rules: their options, and the precisions in which they are defined."""

from dataclasses import fields

import pytest

import edgetrain as et
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.rules import RULES, Learning, Option, Rule, find_rule
from tests.support import REPOSITORY

TUNED = Rule(
    "tuned",
    "",
    lambda infer, how: infer,
    options=(Option("epsilon", 0.5, 0.0, 1.0, "a number"), Option("turns", 2, 1, 9, "how many")),
)


def test_options_are_settled() -> None:
    how = TUNED.settle(Learning(options=(("turns", "3"),)))
    assert (how.option("epsilon"), how.option("turns")) == (0.5, 3)
    assert TUNED.settle(how) == how
    assert how.record() == Learning().record() | {"epsilon": 0.5, "turns": 3}


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("sigma", "1", "tuned has no option 'sigma'; it has epsilon, turns"),
        ("epsilon", "1.5", "the option epsilon is '1.5'; give a number from 0.0 to 1.0"),
        ("epsilon", "nan", "the option epsilon"),
        ("epsilon", "much", "the option epsilon"),
        ("turns", "2.5", "the option turns is '2.5'; give a whole number from 1 to 9"),
        ("turns", 0, "the option turns is 0"),
        ("turns", "inf", "the option turns"),
    ],
)
def test_what_cannot_be_set_is_refused(name: str, value: str | float, what: str) -> None:
    with pytest.raises(InputError) as refusal:
        TUNED.settle(Learning(options=((name, value),)))
    assert str(refusal.value).startswith(what)


def test_a_rule_is_refused_where_it_is_not_defined() -> None:
    with pytest.raises(InputError, match="tuned is not defined in fp16; it is in fp32"):
        TUNED.settle(Learning(precision="fp16"))
    with pytest.raises(InputError, match="unknown rule 'magic'"):
        find_rule("magic")
    with pytest.raises(InputError, match="sgd has no option 'epsilon'; it has none"):
        et.compile("mlp-4-3-2-fp32", learn="sgd", options={"epsilon": 1.0})
    with pytest.raises(InputError, match="give --learn"):
        et.compile("mlp-4-3-2-fp32", options={"epsilon": 1.0})


@pytest.mark.parametrize("name", sorted(RULES))
def test_options_have_names_of_their_own_and_defaults_in_range(name: str) -> None:
    options = RULES[name].options
    names = [option.name for option in options]
    assert len({*names, *(field.name for field in fields(Learning))}) == len(names) + len(
        fields(Learning)
    )
    assert all(option.value(option.default) == option.default for option in options)
    assert RULES[name].summary


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_rule_has_a_page(name: str) -> None:
    page = (REPOSITORY / "docs" / "rules" / f"{name}.md").read_text()
    assert page.startswith(f"# `{name}`\n")
    assert all(f"`{o.name}`" in page or f"--set {o.name}=" in page for o in RULES[name].options)
