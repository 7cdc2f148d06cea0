"""The notifications that a scenario file states are those of a live platform, evaluated each
minute."""

from itertools import product

from alerting.usecases.definitions.scenarios import read_scenarios, run_scenario
from tests.builders import T0, threshold
from tests.helpers.ovens import live, muted
from tests.helpers.suppression import plant
from tests.in_memory_platform import Mailbox

HEAT = [200, 230, 230, 230, 230, 200, 230, 240, 240, 230, 230, 230, 230, 230, 230, 200]
LEVELS = {"above": None, "levels": {"medium": {"above": 215}, "critical": {"above": 235}}}


def told_live(changes, line, mute):
    """The minutes at which people were first told of each episode."""
    platform = plant(Mailbox("mail"), **changes)
    story = [
        (minute, value, state, *([muted(mute[1])] if mute and minute == mute[0] else []))
        for minute, (value, state) in enumerate(zip(HEAT, line, strict=True))
    ]
    heard = live(platform, *story)
    messages = platform.channels["mail"].messages
    told = {}
    for (minute, _), message in zip(heard, messages, strict=True):
        told.setdefault(message.key.split(":")[0], minute)
    return sorted(told.values())


def told_in_a_file(changes, line, mute):
    written = {
        "title": "t",
        "readings": {"temperature": HEAT, "line_state": line},
        "start": T0.isoformat(),
        "muted": [{"from": f"{mute[0]}m", "to": f"{mute[1]}m"}] if mute else [],
        "expect": [],
        "notified": [],
    }
    scenario = read_scenarios({"definition": "x", "scenarios": [written]}, "file").scenarios[0]
    found = run_scenario(threshold(stale_after="10h", **changes), scenario).found
    return [int(line.split("m")[0]) for line in found if line.endswith("notified")]


MUTES = [None, (1, 4), (2, 14)]
STOPS = [(0, 0), (0, 3), (6, 13), (0, 16)]


def test_people_are_told_when_the_file_says_so():
    there = {}
    filed = {}
    for case in product(MUTES, STOPS, [(), ("critical",)]):
        mute, (start, end), still_notify = case
        line = ["stopped" if start <= minute < end else "running" for minute in range(len(HEAT))]
        when = {"variable": "line_state", "equals": "stopped"}
        changes = {"suppression": {"when": when, "still_notify": list(still_notify)}, **LEVELS}
        there[case] = told_live(changes, line, mute)
        filed[case] = told_in_a_file(changes, line, mute)
    assert filed == there
    assert there[None, (0, 3), ()] == [3, 6]
