"""Texts of answers are in the words of a reader at every depth, by their type; people's texts and
values stay as they are."""

from dataclasses import dataclass, replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from alerting.console.api.views import translate_texts
from alerting.definitions.wording.language import ENGLISH, translatable
from tests.builders import at

READER = ENGLISH.with_clock(ZoneInfo("Europe/Berlin"))
TEXT = translatable("no reading since {when}", when=at(5))
TOLD = "no reading since 2026-01-05 01:05 CET"
BY_PEOPLE = "seen at 2026-01-05T00:05:00+00:00"


@dataclass(frozen=True)
class Part:
    """A part of an answer."""

    reason: str
    parts: tuple["Part", ...] = ()
    named: dict[str, object] | None = None


def test_a_text_is_told_at_every_depth():
    inner = Part(TEXT, named={"why": [TEXT, 3.0], "lasts": timedelta(minutes=1)})
    told = translate_texts([Part(BY_PEOPLE, (inner,)), Part(BY_PEOPLE)], READER)
    shown = Part(TOLD, named={"why": [TOLD, 3.0], "lasts": timedelta(minutes=1)})
    assert told == [Part(BY_PEOPLE, (shown,)), Part(BY_PEOPLE)]
    assert inner.reason is TEXT


@pytest.mark.parametrize("value", [None, BY_PEOPLE, 1.5, at(5), (BY_PEOPLE,), Part(BY_PEOPLE)])
def test_what_has_no_text_of_the_platform_is_the_same_value(value):
    assert translate_texts(value, READER) is value
    assert translate_texts(replace(Part(TEXT), named={"x": value}), READER).named["x"] is value
