"""The fault test: a simulated plant whose platform is killed and frozen every few seconds, against
an undisturbed run.

`make faults MINUTES=30`, or `python -m tests.faults.run --minutes 30 --seed 1 --out faults.json`.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.demo.clock import MongoClock
from alerting.adapters.mongo.indexes import SCHEMA
from alerting.adapters.mongo.mongo import open_stores
from alerting.notifications.notification import WAITING
from tests.faults.account import Account, Ledger, compare_readings, settle_accounts
from tests.faults.calm import run_calmly
from tests.faults.parts import Part, all_parts
from tests.faults.plant import EVERY_S, LEASE_S, START, found
from tests.faults.starvation import ProcessorWaits
from tests.faults.storm import OUTAGE_MINUTES, Storm
from tests.faults.world import CALM, STORMY, World
from tests.support import free_port

SPEED = 6.0
LONGEST_FREEZE_S = 14.0
SETTLE_S = 2.0
AFTERWARDS_S = 8.0
PATIENCE_S = 400.0
KILLS_FOR_A_CLAIM = 20
STARVED = 2
"""Exit code of a run in which nothing was wrong but the machine, so that its times prove
nothing."""
COMPARED = (
    "episodes missing in the storm",
    "episodes only in the storm",
    "episodes that differ",
    "notifications expected and not made",
    "notifications made and not expected",
)
Say = Callable[[str], None]


def run(
    folder: Path, minutes: float, seed: int, speed: float, longest_freeze_s: float, say: Say
) -> dict[str, Any]:
    """Storm for so many minutes of the wall, recover, compare. Returns the report; `wrong` in it is
    empty if all is well."""
    world = World(str(folder), seed, speed, free_port(), free_port(), free_port())
    world.save()
    begun = time.time()
    with EmbeddedMongod(world.path("mongod"), world.mongod_port):
        _found_twice(world)
    say(f"plant founded and its model trained after {time.time() - begun:.0f} s; data in {folder}")
    parts = all_parts(world)
    storm = Storm(parts, seed, longest_freeze_s, _outage_s(minutes, speed))
    try:
        for part in parts:
            part.start()
        storm.rage(minutes * 60, _progress(say, parts))
        account = _recover(world, storm, say)
    finally:
        for part in reversed(parts):
            part.stop()
    return _report(world, parts, account, minutes)


def _outage_s(minutes: float, speed: float) -> float:
    """Seconds of the wall that the outage of evaluation takes, where the run is long enough for
    one: three times as long."""
    outage = OUTAGE_MINUTES * 60 / speed
    return outage if minutes * 60 >= 3 * outage else 0.0


def _found_twice(world: World) -> None:
    """One founding, copied: both runs begin with the very same documents."""
    with (
        open_stores(world.uri, CALM, prepare=True) as calm,
        open_stores(world.uri, STORMY, prepare=True) as stormy,
    ):
        found(world, calm)
        for name in set(calm.database.list_collection_names()) - {SCHEMA}:
            if documents := list(calm.database[name].find()):
                stormy.database[name].delete_many({})  # as preparing left it
                stormy.database[name].insert_many(documents)
        # the plant will move it
        MongoClock(stormy.database).start(START, speed=0, lease=timedelta(0))


def _progress(say: Say, parts: Sequence[Part]) -> Callable[[float], None]:
    said = [time.monotonic()]

    def told(left: float) -> None:
        if time.monotonic() - said[0] > 30:
            said[0] = time.monotonic()
            hits = ", ".join(f"{p.name} {p.counts['kill']}+{p.counts['freeze']}" for p in parts)
            say(f"{left:.0f} s of storm left; killed+frozen: {hits}")

    return told


def _recover(world: World, storm: Storm, say: Say) -> Account:
    with open_stores(world.uri, STORMY) as stores:
        time.sleep(SETTLE_S)
        sent_before = Ledger.from_stores(stores).keys("sent")
        # after that reading: what is first delivered meanwhile is not told again
        recovered_at = time.time()
        now = MongoClock(stores.database).now()
        end = START + timedelta(seconds=((now - START).total_seconds() // EVERY_S + 12) * EVERY_S)
        world.set_end(end)
        say(f"the storm is over at {now:%H:%M:%S} of the plant; it goes on until {end:%H:%M:%S}")
        late = []
        if not storm.calm(
            lambda: _is_judged(world, end) and not Ledger.from_stores(stores).keys(*WAITING),
            PATIENCE_S,
        ):
            late.append("evaluated and delivered")
        storm.parts[
            1
        ].stop()  # the plant: its clock stands a few seconds later, and nothing new falls due
        stood_at = time.time() + LEASE_S
        if not storm.calm(
            lambda: _has_looked(world, stood_at) and not Ledger.from_stores(stores).keys(*WAITING),
            PATIENCE_S,
        ):
            late.append("delivered")
        restarted_at = time.time()
        for part in storm.parts[2:]:
            part.stop()
            part.start()
        time.sleep(AFTERWARDS_S)
        stormy = Ledger.from_stores(stores)
        for part in storm.parts[2:]:
            part.stop()
        with open_stores(world.uri, CALM) as calm:
            say(f"the undisturbed run delivered {run_calmly(world, calm, end)} messages")
            account = settle_accounts(
                world, Ledger.from_stores(calm), stormy, sent_before, recovered_at, restarted_at
            )
            compare_readings(account, world, stores)
            check_patience(account, world, late, recovered_at, restarted_at)
            return account


def check_patience(
    account: Account, world: World, late: Sequence[str], start: float, end: float
) -> None:
    """Work that was not done in time is a fault, unless the processes waited for a processor for
    most of the time."""
    names = [path.stem for path in Path(world.folder).glob("*.jsonl")]
    starved = ProcessorWaits(world.notes("processor")).seconds_waited(names, start, end)
    if late and starved > (end - start) / 2:
        account.starved.append(
            f"not {' and '.join(late)} within {PATIENCE_S:g} s, in most of which processes waited "
            "for a processor"
        )
        late = ()
    account.expect_none(f"not done within {PATIENCE_S:g} s of calm", late)


def _is_judged(world: World, end: datetime) -> bool:
    rounds = (n for n in world.notes("evaluator-1", "evaluator-2") if n["what"] == "round")
    return sum(n["as_of"] == end.isoformat() for n in rounds) >= 2


def _has_looked(world: World, since: float) -> bool:
    """Return whether a whole round of notifications was made after an instant."""
    return (
        sum(
            n["what"] == "round" and n["t"] > since for n in world.notes("notifier-1", "notifier-2")
        )
        >= 3
    )


def _report(
    world: World, parts: Sequence[Part], account: Account, minutes: float
) -> dict[str, Any]:
    ended = [
        f"{p.name} ended by itself {n} times" for p in parts if (n := p.counts["ended by itself"])
    ]
    missed = _not_reached(
        account,
        minutes,
        world.speed,
        sum(p.counts["kill"] for p in parts if p.name.startswith("notifier")),
    )
    return {
        "minutes": minutes,
        "seed": world.seed,
        "speed": world.speed,
        "plant_minutes": round((world.end - START).total_seconds() / 60, 1) if world.end else None,
        "kills": {p.name: p.counts["kill"] for p in parts},
        "freezes": {p.name: p.counts["freeze"] for p in parts},
        "longest_down_s": {p.name: round(p.longest_down, 1) for p in parts},
        "longest_without_round_s": {
            "evaluation": _gap(world, "evaluator"),
            "delivery": _gap(world, "notifier"),
        },
        **account.counts,
        "starved": account.starved,
        "wrong": [*account.wrong, *ended, *missed],
    }


def _not_reached(account: Account, minutes: float, speed: float, kills: int) -> list[str]:
    """Return the situations that a run of this length must meet and did not: without them the test
    proves nothing."""
    wanted = {
        "digests delivered": bool(_outage_s(minutes, speed)),
        "claims that were taken over": kills >= KILLS_FOR_A_CLAIM,
        "told in summaries of floods": True,
        "episodes of the model": True,
    }
    return [
        f"not reached: {what}"
        for what, is_wanted in wanted.items()
        if is_wanted and not account.counts[what]
    ]


def _gap(world: World, module: str) -> float:
    rounds = [n["t"] for n in world.notes(f"{module}-1", f"{module}-2") if n["what"] == "round"]
    return round(max((b - a for a, b in pairwise(rounds)), default=0.0), 1)


def sentence(report: dict[str, Any]) -> str:
    """The report in words."""
    kills = sum(report["kills"].values())
    freezes = sum(report["freezes"].values())
    differs = any(report[what] for what in COMPARED)
    text = (
        f"{report['minutes']:g} minutes, {kills} kills and {freezes} freezes: {report['episodes']} "
        "episodes with "
        f"{report['transitions']} transitions, {'NOT the same as' if differs else 'the same as'} "
        "undisturbed; "
        f"{report['recorded as sent']} notifications, "
        f"{report['recorded as sent and not received']} lost, "
        f"{report['repeated deliveries']} repeated deliveries under their old key while things "
        "were dying, "
        f"{report['received twice after recovery'] + report['told again after recovery']} after "
        "recovery."
    )
    if report["wrong"]:
        text += f" Wrong: {'; '.join(report['wrong'])}."
    if report["starved"]:
        text += (
            " STARVATION by this machine, no fault of the platform: "
            f"{'; '.join(report['starved'])}. Repeat it on an idle one."
        )
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--speed", type=float, default=SPEED, help="seconds of the plant per second of the wall"
    )
    parser.add_argument("--longest-freeze", type=float, default=LONGEST_FREEZE_S, help="seconds")
    parser.add_argument("--out", type=Path, help="file for the report")
    parser.add_argument("--keep", type=Path, help="folder for data and logs, which are kept")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        report = run(
            folder,
            given.minutes,
            given.seed,
            given.speed,
            given.longest_freeze,
            lambda line: print(line, flush=True),
        )
    text = json.dumps(report, indent=1)
    if given.out:
        given.out.write_text(text)
    print(text)
    print(sentence(report))
    sys.exit(1 if report["wrong"] else STARVED if report["starved"] else 0)


if __name__ == "__main__":
    main()
