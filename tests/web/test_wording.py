"""Every effect has words of its own."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

import pytest

from bot.web.console.wording import effect_in_words
from rules import effects


@pytest.mark.parametrize("kind", get_args(effects.Effect), ids=lambda kind: kind.__name__)
def test_every_effect_is_said_in_words(kind):
    values = {field.name: "x1" for field in fields(kind)}
    words = effect_in_words({"rule": "shop.hours", "effect": kind.__name__, **values})
    assert "{" not in words
    assert not values or "x1" in words or kind in (effects.OptOut, effects.OptIn)


def test_an_opt_in_says_whether_what_staff_marked_stays():
    by_start, by_any_text = ({"rule": "r", "effect": "OptIn", "keeps_flags": keeps} for keeps in (False, True))
    assert effect_in_words(by_start) == "Opts the phone in"
    assert effect_in_words(by_any_text) == "Opts the phone in; what staff marked stays"
