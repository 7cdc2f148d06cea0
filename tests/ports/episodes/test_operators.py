"""Port `Mutes`, and episodes to announce after muting."""

from dataclasses import replace

from alerting.operators.actions_and_mutes import EndingEvent
from tests.builders import at
from tests.helpers.contracts import step
from tests.helpers.episodes import episode
from tests.helpers.mutes import mute

WIDE = {"part": "oven-1", "definition": "too-hot", "up_to": "high", "notified": ("log",)}
MUTE = mute(kind="maintenance", event=EndingEvent("start", "oven-1"), **WIDE)
OVER = MUTE.ended(at(20), "eve", "done")
TARGET = {"definition": "too-hot", "asset": "oven-1"}
ENDLESS = mute(10, None, "out_of_service", **TARGET)
EARLY = mute(0, 30)
SECOND = mute(20, 60)
THIRD = mute(60, 90)
MUTED = [episode(3, muted_by="s2"), episode(9, asset="oven-2", muted_by="s1")]
STEPS = {
    "a mute comes back equal": [
        step("mutes.insert", MUTE, gives=True),
        step("mutes.insert", MUTE, gives=False),
        step("mutes.insert", ENDLESS, gives=True),
        step("mutes.get", MUTE.id, gives=MUTE),
        step("mutes.get", ENDLESS.id, gives=ENDLESS),
        step("mutes.get", "nothing", gives=None),
    ],
    "only the next version replaces": [
        step("mutes.insert", MUTE),
        step("mutes.replace", OVER, gives=True),
        step("mutes.replace", replace(OVER, ended_by="bob"), gives=False),
        step("mutes.replace", mute(part="x").ended(at(20), "eve", "done"), gives=False),
        step("mutes.get", MUTE.id, gives=OVER),
    ],
    "those without an end are found by begin": [
        *(step("mutes.insert", one) for one in (THIRD, EARLY, MUTE)),
        step("mutes.replace", OVER),
        step("mutes.not_ended", gives=[EARLY, THIRD]),
    ],
    "those of a time are found newest first": [
        *(step("mutes.insert", one) for one in (EARLY, SECOND, THIRD, MUTE)),
        step("mutes.replace", OVER),
        step("mutes.overlapping", at(30), at(60), gives=[SECOND]),
        step("mutes.overlapping", at(29), at(61), gives=[THIRD, SECOND, EARLY]),
        step("mutes.overlapping", None, at(100), limit=2, gives=[THIRD, SECOND]),
        step("mutes.insert", ENDLESS),
        step("mutes.overlapping", at(9_000), at(9_001), gives=[ENDLESS]),
    ],
    "episodes to be announced after muting are found oldest first": [
        *(step("episodes.insert", one) for one in (MUTED[1], MUTED[0], episode(5, asset="oven-3"))),
        step("episodes.muted", gives=MUTED),
    ],
}


def test_the_store_of_mutes_keeps_every_claim(broken):
    assert broken(STEPS) == {}
