"""Every message of an episode of every kind, from its raise to its end, in a language of marks: no
word of it is outside the language files, and its times are those of the plant."""

import re
from dataclasses import replace
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest

from alerting.usecases.notification import routing
from tests.helpers import episode_messages
from tests.helpers.episode_messages import EPISODES
from tests.helpers.pseudo_language import OPEN, bare_words, pseudo_language, written_by_people
from tests.in_memory_platform import in_memory_platform

STAMP = re.compile(r"\d{4}-\d\d-\d\d")


def plant_in_berlin(*channels):
    return replace(in_memory_platform(*channels), zone=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize("name", EPISODES)
def test_no_message_has_a_word_outside_the_language_files(name):
    with (
        patch.object(routing, "language", pseudo_language),
        patch.object(episode_messages, "in_memory_platform", plant_in_berlin),
    ):
        told = EPISODES[name]()
    messages = told.messages("de")
    assert len(messages) >= 2
    left = {}
    for message in messages:
        assert OPEN in message.subject and OPEN in message.text
        words = bare_words(f"{message.subject}\n{message.text}", written_by_people(told.platform))
        stamps = STAMP.findall(f"{message.subject}\n{message.text}")
        if words or stamps:
            left[message.subject] = words, stamps
    assert left == {}
