"""Progress of a training without a decision."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from alerting.definitions.model import ModelDefinition, Revision
from alerting.definitions.wording.language import translatable
from alerting.learning.selection.proposal import PROPOSAL
from alerting.ports import Definitions, ModelUnavailable, TrainingRuns, Trainings
from alerting.usecases.training.due import newest_trainings

PROBABLY_KILLED = timedelta(minutes=30)
"""Time without progress, beyond the longest search, after which a training was probably killed."""


class ProgressPorts(Protocol):
    """The ports that the progress of a training is read from."""

    @property
    def runs(self) -> TrainingRuns: ...

    @property
    def definitions(self) -> Definitions: ...

    @property
    def trainings(self) -> Trainings: ...


def describe_step(platform: ProgressPorts, revision: Revision) -> str:
    """Return the present step of the training of a revision for the end of a sentence: ` (step 3 of
    8: searching lightgbm)`.

    The dataset is its first step, each family one, and the comparison the last. Empty if the
    registry is away.
    """
    try:
        found = unfinished_training(platform, revision.name, ())
    except ModelUnavailable:
        return ""
    if found is None or found["revision"] != revision.number or not found["steps"]:
        return ""
    return translatable(
        " (step {number} of {steps}: {step})",
        number=found["step_number"],
        steps=found["steps"],
        step=found["step"],
    )


def unfinished_training(
    platform: ProgressPorts, name: str, decided: Collection[str | None]
) -> dict[str, Any] | None:
    """Return the newest training of a definition without a proposal and a decision; None without
    one.

    `step`: its present or last step, number `step_number` of `steps`; `candidates_done` of
    `candidates`; `last_sign`: when a part of it began or ended last. A killed training looks the
    same; only `last_sign` shows it, by being older than `killed_after`.
    """
    newest = next(iter(platform.runs.open_runs(name)), None)
    if (
        newest is None
        or newest.id in decided
        or PROPOSAL in platform.runs.files(newest.id, "decision")
    ):
        return _begun_training(platform, name)
    searches = platform.runs.searches(newest.id)
    done = {s.tags.get("family", "") for s in searches if s.tags.get("fitted") == "true"}
    active = [
        s.tags["family"]
        for s in searches
        if s.ended_at is None and "family" in s.tags and s.tags.get("fitted") != "true"
    ]
    definition = _definition(platform.definitions, name, int(newest.tags.get("revision", "0")))
    total = None if definition is None else len(definition.families)
    return {
        "run_id": newest.id,
        "revision": int(newest.tags.get("revision", "0")),
        "as_of": newest.tags.get("as_of"),
        "started_at": newest.started_at,
        "last_sign": (
            max(newest.started_at, *(s.ended_at or s.started_at for s in searches))
            if searches
            else newest.started_at
        ),
        "killed_after": _killed_after(definition),
        "step": _step(active, len(done), total),
        "step_number": len(done) + 2,
        "steps": None if total is None else total + 2,
        "candidates_done": len(done),
        "candidates": total,
    }


class UnderWay(NamedTuple):
    """A training without a decision, in the time of the line; `is_silent`: it was probably
    killed."""

    started_at: datetime
    last_sign: datetime
    is_silent: bool


def training_under_way(
    unfinished: dict[str, Any] | None, now: datetime, real_now: datetime, speed: float | None
) -> UnderWay | None:
    """Return when a training began and last showed progress, and whether it was killed.

    The registry has real times, of which `real_now` is the present; a line that is simulated at
    this `speed` has its own, `now`, and so has a training that has no run in the registry yet.
    """
    if unfinished is None:
        return None
    started = unfinished["started_at"]
    sign = unfinished["last_sign"]
    if speed is None or unfinished["step_number"] == 1:
        is_silent = now - sign >= unfinished["killed_after"] * max(1.0, speed or 1.0)
        return UnderWay(started, sign, is_silent)
    silent = real_now - sign
    return UnderWay(
        now - (real_now - started) * speed,
        now - silent * speed,
        silent >= unfinished["killed_after"],
    )


def _begun_training(platform: ProgressPorts, name: str) -> dict[str, Any] | None:
    """Return a training that has begun and has no run in the registry yet, because its dataset is
    being built."""
    revision = platform.definitions.newest_revision(name)
    training = (
        None if revision is None else newest_trainings(platform.trainings, [revision]).get(name)
    )
    if training is None or training.ended_at is not None:
        return None
    definition = _definition(platform.definitions, name, training.revision)
    total = None if definition is None else len(definition.families)
    return {
        "run_id": training.run,
        "revision": training.revision,
        "as_of": None,
        "started_at": training.started_at,
        "last_sign": training.started_at,
        "killed_after": _killed_after(definition),
        "step": translatable("building the dataset"),
        "step_number": 1,
        "steps": None if total is None else total + 2,
        "candidates_done": 0,
        "candidates": total,
    }


def _definition(definitions: Definitions, name: str, number: int) -> ModelDefinition | None:
    revision = next((r for r in definitions.revisions(name) if r.number == number), None)
    found = revision.definition if revision else None
    return found if isinstance(found, ModelDefinition) else None


def _killed_after(definition: ModelDefinition | None) -> timedelta:
    longest = timedelta(0) if definition is None else definition.longest_search
    return PROBABLY_KILLED + longest


def _step(active: list[str], done: int, total: int | None) -> str:
    if active:
        families = ", ".join(name.replace("_", " ") for name in sorted(set(active)))
        return translatable("searching {families}", families=families)
    if done == total:
        return translatable("comparing the candidates")
    return translatable("dataset built, next candidate starting")
