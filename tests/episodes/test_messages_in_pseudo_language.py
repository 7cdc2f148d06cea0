"""Every message of an episode of every kind, from its raise to its end, in a language of marks: no
word of it is outside the language files, and its times are those of the plant."""

import re
from dataclasses import replace
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest

from alerting.definitions.asset_documents import Asset
from alerting.operators.actions_and_mutes import Matcher
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.notification import routing
from alerting.usecases.notification.routing import ROUTES
from alerting.usecases.operators.handover import choose_shift, send_handover, write_note
from alerting.usecases.operators.known_plant import read_plant
from alerting.usecases.operators.operate import start_mute
from tests.builders import at, too_hot
from tests.helpers import episode_messages
from tests.helpers.episode_messages import EPISODES
from tests.helpers.ovens import ANN, feed, ovens, run
from tests.helpers.pseudo_language import OPEN, bare_words, pseudo_language, written_by_people
from tests.in_memory_platform import Mailbox, in_memory_platform, maintain_at

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


def live_plant():
    """A plant with a flood, a digest, a mute, a fault, a heartbeat and a hand-over of a shift."""
    made = plant_in_berlin(Mailbox("crew"))
    line = Asset(name="line-1", title="Line 1")
    below = [one.model_copy(update={"parent": "line-1"}) for one in ovens(2)]
    made.assets.store_assets([line, *below])
    route = {"name": "shift", "language": "de", "channels": ["crew"], "platform": True}
    rules = {"flood": {"more_than": 1, "within": "10m"}, "repeat": "30m", "heartbeat": "1h"}
    ROUTES.apply(made, [route | rules], "engineer", at(0))
    documents = [
        too_hot(name=f"hot-{n}", title=f"Too warm {n}", assets=["oven-*"], stale_after="10h")
        for n in range(3)
    ]
    apply(made, documents, "engineer", at(0), "test")
    for minute, value in ((1, 230.0), (45, 200.0), (60, 230.0)):
        feed(made, minute, value, count=2)
        run(made, minute, minute + 12, minute + 40)
    words = (None, "belt change", ("crew",), ANN)
    start_mute(made, "maintenance", Matcher(part="line-1"), None, at(150), *words, at(110))
    feed(made, 112, 200.0, count=2)
    run(made, 111, 113, 151)
    for minute, value in ((200, 230.0), (210, 200.0)):  # while no process evaluates
        feed(made, minute, value, count=2)
    run(made, 290, 330, 12 * 60)
    maintain_at(made, at(12 * 60))
    plant = read_plant(made)
    chosen = choose_shift(made, plant, made.zone, at(12 * 60), at=at(60))
    write_note(made, chosen, "watch the fan", ANN, at(12 * 60))
    send_handover(made, plant, chosen, "shift", "/handover", ANN, at(12 * 60))
    run(made, 12 * 60 + 1)
    return made


def test_no_other_message_has_a_word_outside_the_language_files():
    with patch.object(routing, "language", pseudo_language):
        plant = live_plant()
    messages = [message for box in plant.channels.values() for message in box.messages]
    kinds = {message.key.split(":")[0] for message in messages}
    assert kinds >= {"flood", "digest", "mute", "platform", "heartbeat", "handover"}
    people = written_by_people(plant) | {"ann", "belt change", "watch the fan", "shift"}
    left = {}
    for message in messages:
        text = f"{message.subject}\n{message.text}"
        # faults of the platform are told in English
        words = [] if message.key.startswith("platform") else bare_words(text, people)
        if words or STAMP.search(text):
            left[text] = words
    assert left == {}
