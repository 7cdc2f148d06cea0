"""Ports `Shelves` and `Silences`."""

from dataclasses import replace

from alerting.operators.shelves import new_shelf, record_end
from alerting.operators.silences import SilenceScope, new_silence
from tests.builders import at
from tests.helpers.contracts import each, having, step
from tests.helpers.episodes import episode


def shelf(start=0, end=60, asset="oven-1", kind="shelved", before=0):
    until = None if end is None else at(end)
    return new_shelf("too-hot", asset, kind, at(start), until, "cleaning", "ann", before)


def silence(start=0, end=60, part="oven-1", event=None):
    scope = SilenceScope(part=part, definition="too-hot", up_to="high")
    times = (at(start), at(end), event)
    return new_silence("maintenance", scope, *times, "belt", ("log",), "ann", "engineer", at(0))


SHELF = shelf()
SHELF_AFTER = shelf(30, 90, before=1)
LATE_SHELF = shelf(0, 90, "oven-2")
EARLY_SHELF = shelf(0, 30)
ENDLESS = shelf(0, None, kind="out_of_service")
SILENCE = silence(event=("start", "oven-1"))
OVER = SILENCE.ended(at(20), "eve", "done")
EARLY = silence(0, 30)
SECOND = silence(20, 60)
THIRD = silence(60, 90)
MUTED = [episode(3, muted_by="s2"), episode(9, asset="oven-2", muted_by="s1")]
SHELVES = {
    "a shelf comes back equal": [
        step("shelves.insert", SHELF, gives=True),
        step("shelves.get", SHELF.id, gives=SHELF),
        step("shelves.get", "nothing", gives=None),
    ],
    "one of a kind is in force per definition and asset": [
        step("shelves.insert", SHELF, gives=True),
        step("shelves.insert", shelf(5), gives=False),
        step("shelves.insert", shelf(5, None, kind="out_of_service"), gives=True),
        step("shelves.insert", shelf(5, asset="oven-2"), gives=True),
    ],
    "one that ended stays and makes room": [
        step("shelves.insert", SHELF),
        step(
            "shelves.replace",
            replace(record_end(SHELF, at(20), "eve", "done"), version=2),
            gives=True,
        ),
        step("shelves.insert", SHELF_AFTER, gives=True),
        step("shelves.in_force", gives=[SHELF_AFTER]),
        step("shelves.for_target", "too-hot", "oven-1", gives=each(ended_by=["eve", None])),
    ],
    "only the next version replaces": [
        step("shelves.insert", SHELF),
        step("shelves.replace", replace(SHELF, reason="second", version=2), gives=True),
        step("shelves.replace", replace(SHELF, reason="too late", version=2), gives=False),
        step("shelves.get", SHELF.id, gives=having(reason="second")),
    ],
    "what is in force is found by pair, without end first, then by end": [
        *(step("shelves.insert", one) for one in (LATE_SHELF, EARLY_SHELF, ENDLESS)),
        step("shelves.in_force", gives=[ENDLESS, EARLY_SHELF, LATE_SHELF]),
        step("shelves.in_force", "too-hot", "oven-2", gives=[LATE_SHELF]),
        step("shelves.in_force", "other", gives=[]),
    ],
    "episodes to be announced after muting are found oldest first": [
        *(step("episodes.insert", one) for one in (MUTED[1], MUTED[0], episode(5, asset="oven-3"))),
        step("episodes.muted", gives=MUTED),
    ],
}
SILENCES = {
    "a silence comes back equal": [
        step("silences.insert", SILENCE, gives=True),
        step("silences.insert", SILENCE, gives=False),
        step("silences.get", SILENCE.id, gives=SILENCE),
        step("silences.get", "nothing", gives=None),
    ],
    "only the next version replaces": [
        step("silences.insert", SILENCE),
        step("silences.replace", OVER, gives=True),
        step("silences.replace", replace(OVER, ended_by="bob"), gives=False),
        step("silences.replace", silence(part="x").ended(at(20), "eve", "done"), gives=False),
        step("silences.get", SILENCE.id, gives=OVER),
    ],
    "those without an end are found by begin": [
        *(step("silences.insert", one) for one in (THIRD, EARLY, SILENCE)),
        step("silences.replace", OVER),
        step("silences.not_ended", gives=[EARLY, THIRD]),
    ],
    "those of a time are found newest first": [
        *(step("silences.insert", one) for one in (EARLY, SECOND, THIRD)),
        step("silences.overlapping", at(30), at(60), gives=[SECOND]),
        step("silences.overlapping", at(29), at(61), gives=[THIRD, SECOND, EARLY]),
        step("silences.overlapping", None, at(100), limit=2, gives=[THIRD, SECOND]),
    ],
}


def test_the_stores_of_shelves_and_silences_keep_every_claim(broken):
    assert broken(SHELVES) == {}
    assert broken(SILENCES) == {}
