"""Trainings that are due, because a question of a definition in service has no training in its
present state; and the progress of a training without a decision.

This follows from stored data, not from an event, so that no edit is lost while Airflow does not run
or does not know the definition's DAG yet.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, Protocol

from alerting.definitions.alert_definition import ModelDefinition, Revision
from alerting.definitions.faults import TrainingRefused, UserError, first_line
from alerting.definitions.revisions import question_of
from alerting.definitions.wording.language import Translatable, translatable
from alerting.learning.selection.decision import PROPOSAL
from alerting.ports import (
    DecisionRecord,
    Definitions,
    ModelUnavailable,
    Training,
    TrainingPorts,
    TrainingRuns,
    Trainings,
)
from alerting.usecases.definitions.revisions_and_evaluation_plan import current_plan
from alerting.usecases.definitions.versions import require_revision

PAUSES = (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2))
"""Times after a failed training of a question until it is tried again; afterwards it waits for its
schedule or an edit."""
ABANDONED_AFTER = timedelta(days=1)
"""Time after which a training that has not ended counts as failed."""
INTERRUPTED = translatable("interrupted")
_PREFIX = "question-"


class NotDue(UserError):
    """Error: a training was started for a question that the definition no longer asks, or that has
    been trained since."""


@dataclass(frozen=True)
class DueTraining:
    """A training to start, with its number among the trainings of the question. `abandoned`: the
    previous run, if it has no end."""

    definition: str
    question: str
    attempt: int
    abandoned: str | None = None

    @property
    def run(self) -> str:
        """Return the id of its run. It is the same for every process that starts it, so the run
        starts once."""
        return f"{_PREFIX}{self.question}-{self.attempt}"


def find_due_trainings(platform: TrainingPorts, now: datetime) -> list[DueTraining]:
    """Return the trainings that are due, trainings of the newest revisions first.

    Documents edited since the last time get their revisions before.
    """
    names = sorted(
        {target.definition for target in current_plan(platform).targets if target.variable is None}
    )
    histories = platform.definitions.histories(names) if names else {}
    newest = [of_name[-1] for of_name in histories.values() if of_name]
    trainings = {(t.definition, t.question): t for t in platform.trainings.for_definitions(names)}
    questions = [
        (r, question)
        for r in newest
        if r.definition.state == "active" and (question := question_of(r)) is not None
    ]
    due = []
    for revision, question in sorted(questions, key=lambda pair: pair[0].at, reverse=True):
        training = trainings.get((revision.name, question))
        attempt = next_attempt(revision.number, training, now)
        if attempt is not None:
            abandoned = training.run if training is not None and training.ended_at is None else None
            due.append(DueTraining(revision.name, question, attempt, abandoned))
    return due


def newest_trainings(trainings: Trainings, revisions: Iterable[Revision]) -> dict[str, Training]:
    """Return, by definition, the newest training of the question that each revision asks; a
    definition without a training is absent.

    A training of another question says nothing about the present question, for example after an
    edit was taken back.
    """
    questions = {revision.name: question_of(revision) for revision in revisions}
    return {
        t.definition: t
        for t in trainings.for_definitions(questions)
        if t.question == questions[t.definition]
    }


def next_attempt(revision: int, training: Training | None, now: datetime) -> int | None:
    """Return the number of the training of a question that is due; None if none is.

    `revision`: number of the newest revision, which asks the question. `training`: the newest
    training of the question. A question is trained once, and again if a person asks for it. A
    failed training is tried again after growing pauses, and at once after an edit or the death of
    its process, which is no failure of its own; a cancelled training only after an edit.
    """
    if training is None or training.requested_by is not None:
        return 1 if training is None else training.attempts + 1
    failure = training.failure
    ended = training.ended_at
    if ended is None and now - training.started_at > ABANDONED_AFTER:
        failure = "abandoned"
        ended = training.started_at + ABANDONED_AFTER
    if failure is None or ended is None:
        return None
    failures = training.failures + (training.failure is None)
    if training.revision == revision and (
        training.cancelled_by is not None
        or failures > len(PAUSES)
        or (failures > 0 and now < ended + PAUSES[failures - 1])
    ):
        return None
    return training.attempts + 1


def begin_training(
    platform: TrainingPorts, revision: Revision, run: str | None, process: str | None = None
) -> Training:
    """Record that a training of a revision begins. `run`: its id; None for the next one of the
    question; `process`: the single process that carries it out. Idempotent.

    Raises NotDue if the run was started for a question, and the definition asks another one, or the
    question has been trained since.
    """
    question = question_of(revision)
    if question is None or not isinstance(revision.definition, ModelDefinition):
        raise UserError(
            f"{revision.name!r} is a {revision.definition.kind} definition; it has no model to "
            "train"
        )
    if run is not None and run.startswith(_PREFIX) and not run.startswith(f"{_PREFIX}{question}-"):
        raise NotDue(
            f"{revision.name!r} asks another question since revision {revision.number}; this run "
            "was started for the one before "
            "and ends here. The training of the new question is started on its own"
        )
    before = next(
        (t for t in platform.trainings.for_definitions([revision.name]) if t.question == question),
        None,
    )
    if (
        run is not None
        and run.startswith(_PREFIX)
        and before is not None
        and before.run != run
        and before.requested_by is None
        and (before.ended_at is not None and before.failure is None)
    ):
        raise NotDue(
            f"the question of {revision.name!r} has been trained by the run {before.run} since "
            "this one was started"
        )
    attempts = before.attempts if before else 0
    failures = before.failures if before and before.revision == revision.number else 0
    if before is None or before.run != run:
        attempts += 1
    run = run or DueTraining(revision.name, question, attempts).run
    training = Training(
        revision.name,
        question,
        run,
        revision.number,
        platform.clock.now(),
        attempts=attempts,
        failures=failures,
        process=process,
    )
    platform.trainings.begin(training)
    return training


def end_training(platform: TrainingPorts, training: Training, failure: str | None = None) -> None:
    """Record that a training has ended: with a proposed decision, or with the reason of its
    failure. Idempotent."""
    failures = 0 if failure is None else training.failures + 1
    platform.trainings.end(
        replace(training, ended_at=platform.clock.now(), failure=failure, failures=failures)
    )


def end_run(
    platform: TrainingPorts, definition: str, run: str | None, failure: str | None = None
) -> None:
    """Record the end of a run that may not have been recorded before; do nothing if it has ended
    already. Idempotent."""
    training = next(
        (t for t in platform.trainings.for_definitions([definition]) if t.run == run), None
    )
    if training is None and failure is not None:
        training = begin_training(platform, require_revision(platform.definitions, definition), run)
    if training is not None and training.ended_at is None:
        end_training(platform, training, failure)


def unfinished_trainings(platform: TrainingPorts, in_airflow: bool) -> list[Training]:
    """Return the trainings of definitions in service that have not ended: trainings that Airflow
    carries out, or trainings of single processes."""
    names = [
        r.name
        for r in platform.definitions.latest_revisions()
        if r.definition.state == "active" and isinstance(r.definition, ModelDefinition)
    ]
    trainings = platform.trainings.for_definitions(names) if names else []
    return [t for t in trainings if t.ended_at is None and (t.process is None) == in_airflow]


def end_dead_trainings(platform: TrainingPorts, is_running: Callable[[str], bool]) -> None:
    """Record the end of each training whose process has died, so that it is begun again at once.
    `is_running`: whether a process may still run."""
    for training in unfinished_trainings(platform, in_airflow=False):
        if training.process is not None and not is_running(training.process):
            ended = replace(training, ended_at=platform.clock.now(), failure=INTERRUPTED)
            platform.trainings.end(ended)


def require_not_cancelled(trainings: Trainings, definition: str, run: str | None) -> None:
    """Raise UserError if a person has cancelled the training of this run."""
    for training in trainings.for_definitions([definition]):
        if training.run == run and training.cancelled_by is not None:
            raise UserError(training.failure)


@contextmanager
def failure_recorded(platform: TrainingPorts, training: Training) -> Iterator[None]:
    """Record the reason if the training cannot go on: a UserError, which no repetition of the step
    would change; without the name of the definition, which stands beside it."""
    try:
        yield
    except UserError as refusal:
        end_training(platform, training, reason_of(refusal, training.definition))
        raise


def reason_of(fault: Exception, definition: str) -> str:
    """Return why a training failed, without the name of the definition; a text that can be
    translated stays one."""
    if isinstance(fault, TrainingRefused):
        return fault.reason
    if isinstance(fault, UserError) and isinstance(fault.message, Translatable):
        return fault.message
    return first_line(fault).removeprefix(f"{definition}: ")


def failed_in_airflow(tasks: Sequence[str], run: str, dag: str) -> str:
    """Return the reason of a training some tasks of which failed without one of their own."""
    return translatable(
        "failed in Airflow: {tasks}; the log of the run {run} of {dag} has the cause",
        tasks=", ".join(tasks),
        run=run,
        dag=dag,
    )


def ended_in_airflow(run: str, state: str) -> str:
    """Return the reason of a training whose run ended without a decision."""
    return translatable(
        "the run {run} ended in Airflow ({state}) without a decision", run=run, state=state
    )


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
        progress = unfinished_training(platform, revision.name, ())
    except ModelUnavailable:
        return ""
    if progress is None or progress["revision"] != revision.number or not progress["steps"]:
        return ""
    return translatable(
        " (step {number} of {steps}: {step})",
        number=progress["step_number"],
        steps=progress["steps"],
        step=progress["step"],
    )


def unfinished_training(
    platform: ProgressPorts, name: str, decided: Collection[str | None]
) -> dict[str, Any] | None:
    """Return the newest training of a definition without a proposal and a decision; None without
    one.

    `step`: its present or last step, number `step_number` of `steps`; `candidates_done` of
    `candidates`; `last_sign`: when a part of it last began or ended. A killed training looks the
    same, except that `last_sign` is older than `killed_after`.
    """
    newest = next(iter(platform.runs.open_runs(name)), None)
    if (
        newest is None
        or newest.id in decided
        or PROPOSAL in platform.runs.files(newest.id, "decision")
    ):
        return _find_begun(platform, name)
    searches = platform.runs.searches(newest.id)
    done = {s.tags.get("family", "") for s in searches if s.tags.get("fitted") == "true"}
    active = [
        s.tags["family"]
        for s in searches
        if s.ended_at is None and "family" in s.tags and s.tags.get("fitted") != "true"
    ]
    revision = int(newest.tags.get("revision", "0"))
    of_definition = _count_steps(_definition(platform.definitions, name, revision))
    return {
        "run_id": newest.id,
        "revision": revision,
        "as_of": newest.tags.get("as_of"),
        "started_at": newest.started_at,
        "last_sign": (
            max(newest.started_at, *(s.ended_at or s.started_at for s in searches))
            if searches
            else newest.started_at
        ),
        "step": _step(active, len(done), of_definition["candidates"]),
        "step_number": len(done) + 2,
        "candidates_done": len(done),
    } | of_definition


class UnderWay(NamedTuple):
    """A training without a decision, in the time of the line; `is_silent`: whether it was probably
    killed."""

    started_at: datetime
    last_sign: datetime
    is_silent: bool


def training_under_way(
    unfinished: dict[str, Any] | None, now: datetime, real_now: datetime, speed: float | None
) -> UnderWay | None:
    """Return when a training began and last showed progress, and whether it was killed.

    The registry has real times; `real_now` is the present real time. A simulated line at this
    `speed` has its own time, `now`, and so has a training without a run in the registry.
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


StepState = Literal["done", "active", "failed", "waiting"]


class TrainingStep(NamedTuple):
    """A step of a training. `state`: done, active, failed, or waiting for the steps before it;
    `at`: when it ended, or, of an active one, when it began; `done` of `total`: of its parts."""

    name: str
    state: StepState
    at: datetime | None
    done: int = 0
    total: int = 0


def training_steps(
    platform: ProgressPorts,
    training: Training,
    decisions: Sequence[DecisionRecord],
    as_line_time: Callable[[datetime], datetime],
) -> list[TrainingStep]:
    """Return the steps of a training with their times; of a cancelled one only that it was.
    `decisions`: of its definition, oldest first; `as_line_time`: converts a time of the registry.
    Raises ModelUnavailable."""
    runs = platform.runs
    if training.cancelled_by is not None and not training.requested_by:
        begun = TrainingStep(_STEPS[0], "done", training.started_at)
        return [begun, TrainingStep(translatable("cancelled"), "failed", training.ended_at)]
    present = {
        run.id: run
        for run in runs.open_runs(training.definition)
        if run.tags.get("training") == training.run
    }
    decided = next((d for d in reversed(decisions) if d.run_id is not None), None)
    if decided is not None and runs.tags(str(decided.run_id)).get("training") != training.run:
        decided = None
    run = next(iter(present), decided.run_id if decided else None)
    searches = [] if run is None else [s for s in runs.searches(run) if "family" in s.tags]
    built = [search.started_at for search in searches] or [r.started_at for r in present.values()]
    fitted = {s.tags["family"]: s.ended_at for s in searches if s.tags.get("fitted") == "true"}
    ended = [at for at in fitted.values() if at is not None]
    definition = _definition(platform.definitions, training.definition, training.revision)
    total = len(definition.families) if definition else 0
    is_tuned = bool(total) and len(fitted) >= total
    is_tested = training.ended_at is not None and training.failure is None
    decided_at = decided.decided_at if decided else None
    is_same = is_tested and run is None  # nothing was new, so the decision in force stays
    ends = (
        None if training.requested_by else training.started_at,
        # while a simulated line stands still, its time is that of the beginning
        max(as_line_time(min(built)), training.started_at) if built else None,
        max(as_line_time(max(ended)), training.started_at) if is_tuned and ended else None,
        training.ended_at if is_tested else None,
        training.ended_at if is_same else decided_at,
    )
    return describe_steps(training, ends, len(fitted), total)


_TUNED = translatable("families tuned")
_STEPS = (
    translatable("queued"),
    translatable("data set"),
    _TUNED,
    translatable("test on unseen data"),
    translatable("decision"),
)


def describe_steps(
    training: Training, ends: Sequence[datetime | None], fitted: int, total: int
) -> list[TrainingStep]:
    """Return the steps of a training by the times at which they ended, None where not known: the
    one after the last known is active, or failed with the training."""
    ended = [number for number, end in enumerate(ends) if end is not None]
    present = 0 if training.requested_by else 1 + max(ended, default=-1)
    is_failed = training.failure is not None and not training.requested_by
    since = training.requested_at if present == 0 else ends[present - 1]
    done: StepState = "done"
    waiting: StepState = "waiting"
    state: StepState = "failed" if is_failed else "active"
    states = (*(done for _ in range(present)), state, *(waiting for _ in ends))
    times = (*ends[:present], training.ended_at if is_failed else since, *(None for _ in ends))
    return [
        TrainingStep(name, state, at, *((fitted, total) if name == _TUNED else (0, 0)))
        for name, state, at in zip(_STEPS, states, times, strict=False)
    ]


def _find_begun(platform: ProgressPorts, name: str) -> dict[str, Any] | None:
    """Return a training that has begun and has no run in the registry yet, because its dataset is
    being built."""
    revision = platform.definitions.newest_revision(name)
    training = (
        None if revision is None else newest_trainings(platform.trainings, [revision]).get(name)
    )
    if training is None or training.ended_at is not None:
        return None
    return {
        "run_id": training.run,
        "revision": training.revision,
        "as_of": None,
        "started_at": training.started_at,
        "last_sign": training.started_at,
        "step": translatable("building the dataset"),
        "step_number": 1,
        "candidates_done": 0,
    } | _count_steps(_definition(platform.definitions, name, training.revision))


def _definition(definitions: Definitions, name: str, number: int) -> ModelDefinition | None:
    revision = next((r for r in definitions.revisions(name) if r.number == number), None)
    definition = revision.definition if revision else None
    return definition if isinstance(definition, ModelDefinition) else None


def _count_steps(definition: ModelDefinition | None) -> dict[str, Any]:
    """Return how many candidates and steps a training has, and when it counts as killed; the
    numbers are None if its definition is not known."""
    if definition is None:
        return {"killed_after": PROBABLY_KILLED, "steps": None, "candidates": None}
    total = len(definition.families)
    killed_after = PROBABLY_KILLED + definition.longest_search
    return {"killed_after": killed_after, "steps": total + 2, "candidates": total}


def _step(active: list[str], done: int, total: int | None) -> str:
    if active:
        families = ", ".join(name.replace("_", " ") for name in sorted(set(active)))
        return translatable("searching {families}", families=families)
    if done == total:
        return translatable("comparing the candidates")
    return translatable("dataset built, next candidate starting")
