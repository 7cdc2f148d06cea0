"""The notifications that a scenario file states are those of a live platform, evaluated each
minute."""

from itertools import product

from alerting.usecases.definitions.scenarios import read_scenarios, run_scenario
from tests.builders import T0, threshold
from tests.helpers.ovens import live, shelved
from tests.helpers.suppression import plant
from tests.in_memory_platform import Mailbox

HEAT = [200, 230, 230, 230, 230, 200, 230, 240, 240, 230, 230, 230, 230, 230, 230, 200]
LEVELS = {"above": None, "levels": {"medium": {"above": 215}, "critical": {"above": 235}}}


def told_live(changes, line, shelf):
    """The minutes at which people were first told of each episode."""
    platform = plant(Mailbox("mail"), **changes)
    story = [
        (minute, value, state, *([shelved(shelf[1])] if shelf and minute == shelf[0] else []))
        for minute, (value, state) in enumerate(zip(HEAT, line, strict=True))
    ]
    heard = live(platform, *story)
    messages = platform.channels["mail"].messages
    told = {}
    for (minute, _), message in zip(heard, messages, strict=True):
        told.setdefault(message.key.split(":")[0], minute)
    episodes = {episode.id for episode in platform.episodes.find()}
    # others are reminders of shelves
    return sorted(minute for id, minute in told.items() if id in episodes)


def told_in_a_file(changes, line, shelf):
    written = {
        "title": "t",
        "readings": {"temperature": HEAT, "line_state": line},
        "start": T0.isoformat(),
        "shelved": [{"from": f"{shelf[0]}m", "to": f"{shelf[1]}m"}] if shelf else [],
        "expect": [],
        "notified": [],
    }
    scenario = read_scenarios({"definition": "x", "scenarios": [written]}, "file").scenarios[0]
    found = run_scenario(threshold(stale_after="10h", **changes), scenario).found
    return [int(line.split("m")[0]) for line in found if line.endswith("notified")]


SHELVES = [None, (1, 4), (2, 14)]
STOPS = [(0, 0), (0, 3), (6, 13), (0, 16)]


def test_people_are_told_when_the_file_says_so():
    there = {}
    filed = {}
    for case in product(SHELVES, STOPS, [(), ("critical",)]):
        shelf, (start, end), still_notify = case
        line = ["stopped" if start <= minute < end else "running" for minute in range(len(HEAT))]
        when = {"variable": "line_state", "equals": "stopped"}
        changes = {"suppression": {"when": when, "still_notify": list(still_notify)}, **LEVELS}
        there[case] = told_live(changes, line, shelf)
        filed[case] = told_in_a_file(changes, line, shelf)
    assert filed == there
    assert there[None, (0, 3), ()] == [3, 6]
