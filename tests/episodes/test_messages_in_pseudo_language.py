"""Every message of an episode of every kind, from its raise to its end, in a language of marks: no
word of it is outside the language files."""

from unittest.mock import patch

import pytest

from alerting.usecases.notification import routing
from tests.helpers.episode_messages import EPISODES
from tests.helpers.pseudo_language import OPEN, dates_and_units, pseudo_language, words_of_text

BY_PEOPLE = {
    *("Wet", "dough", "or", "damp", "air", "Raise", "zone", "by", "The", "biscuits", "go", "soft"),
    *("Check", "the", "die", "filter", "Drive", "fails", "failure"),
    *("Biscuits", "too", "moist", "Moisture", "high", "Press", "force", "has", "shifted"),
    *("Fan", "unlike", "normal", "oven", "press", "fan", "line"),
    *("Zone", "set", "point", "Belt", "speed", "Air", "humidity", "moisture", "belt"),
    *("force", "flow", "load", "speed", "current", "vibration", "pressure"),
}


@pytest.mark.parametrize("name", EPISODES)
def test_no_message_has_a_word_outside_the_language_files(name):
    with patch.object(routing, "language", pseudo_language):
        messages = EPISODES[name]().messages("de")
    assert len(messages) >= 2
    left = {}
    for message in messages:
        assert OPEN in message.subject and OPEN in message.text
        words = words_of_text(f"{message.subject}\n{message.text}", BY_PEOPLE | dates_and_units())
        if words:
            left[message.subject] = words
    assert left == {}
