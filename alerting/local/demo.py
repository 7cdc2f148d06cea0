"""Processes of the demo line: `python -m alerting.local.demo fill` writes its past, `run` continues
the line."""

import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import NamedTuple

import yaml

from alerting import wiring
from alerting.adapters.mongo.clock import MongoClock
from alerting.definitions.faults import UserError
from alerting.demo.line_store import MongoLines
from alerting.demo.run import DAYS, Advance, Filled, fill, run_line
from alerting.local.parts import ROOT
from alerting.ports import Platform
from alerting.settings.environment import read_settings
from alerting.usecases.definitions import sync

EXAMPLES = ROOT / "config" / "examples" / "demo"
FIRST = ("biscuits-too-moist", "oven-too-hot")
"""Examples that are there before the line runs: one training has the machine to itself, and the
others follow in Airflow."""


class FilledUp(NamedTuple):
    """The result of filling a line: its past, None for one that existed, and new definitions."""

    past: Filled | None
    definitions: Sequence[str]

    def __str__(self) -> str:
        """Return it for people."""
        past = "exists already"
        if self.past is not None:
            past = (
                f"{self.past.start:%Y-%m-%d} to {self.past.end:%Y-%m-%d}, {self.past.rows} readings"
            )
        return ", ".join([past, *(f"new definition {name}" for name in self.definitions)])


def fill_up(days: int = DAYS, end: datetime | None = None, only: Sequence[str] = ()) -> FilledUp:
    """Write the past of the line up to `end` (None: now) and apply the example definitions, or only
    some. Idempotent.

    A line that exists keeps its past.
    """
    settings = read_settings(os.environ)
    with wiring.open_stores(settings) as stores:
        platform = wiring.assemble(settings, stores, channels=False)
        lines = MongoLines(stores.database)
        clock = MongoClock(stores.database)
        filled = fill(
            assets=platform.assets,
            plant=platform,
            lines=lines,
            days=days,
            end=end or datetime.now(UTC),
            progress=_print_progress,
        )
        if not platform.definitions.latest_revisions():
            clock.start(filled.end, 1.0, timedelta(0))
            clock.freeze()
        return FilledUp(filled if filled.rows else None, _apply_examples(platform, only))


def run() -> None:
    """Run the line at the demo's speed until SIGTERM, after all example definitions are there."""
    settings = read_settings(os.environ)
    stopped = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    with wiring.open_stores(settings) as stores:
        platform = wiring.assemble(settings, stores, channels=False)
        _apply_examples(platform)
        run_line(
            plant=platform,
            lines=MongoLines(stores.database),
            clock=MongoClock(stores.database),
            speed=settings.demo_speed,
            wait=stopped.wait,
            report_step=_print_step,
        )


def _apply_examples(platform: Platform, only: Sequence[str] = ()) -> list[str]:
    """Apply examples with a new name only: people's changes stay. Returns their names."""
    names = {revision.name for revision in platform.definitions.latest_revisions()}
    files = [
        path for path in sorted(EXAMPLES.glob("*.yaml")) if not path.name.endswith(".test.yaml")
    ]
    documents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in files]
    new = [
        document
        for document in documents
        if document["name"] not in names and (not only or document["name"] in only)
    ]
    sync.apply(platform, new, "demo", platform.clock.now(), "example of the demo line")
    return [document["name"] for document in new]


def _print_progress(step: str, done: int, total: int | None) -> None:
    sys.stdout.write(f"{step} {done}{'' if total is None else f' of {total}'}\n")


def _print_step(step: Advance) -> None:
    sys.stdout.write(
        f"{step.line.state.until.isoformat()} {step.rows} readings, {step.events} events\n"
    )


def main(arguments: list[str]) -> int:
    """Entry point."""
    try:
        if arguments[0] == "fill":
            sys.stdout.write(f"{fill_up(only=FIRST)}\n")
        else:
            run()
    except UserError as refusal:
        sys.stderr.write(f"refused: {refusal}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
