"""Walk a trial through its weeks: two simulated lines, one model in force, one operator. Every
finished week is stored."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from alerting.definitions.assets import Asset
from alerting.definitions.model import Revision, TrainedDefinition
from alerting.definitions.revisions import next_revision
from alerting.demo.asset import demo_asset
from alerting.demo.chance import DAY
from alerting.demo.line import DemoLineState, new_line, simulate
from alerting.episodes.episode import Episode, Feedback
from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.protocol.evaluation import TargetEvaluation, VersionInterval
from alerting.ports import BacktestPorts, Progress
from alerting.recommendation.contributions import contributions
from alerting.usecases.evaluation.new_episodes import new_episodes
from alerting.usecases.evaluation.target import evaluate_parts
from benchmarks.trial.learner import NewPlatform, TrialModels, plant_view, train_model
from benchmarks.trial.operator import (
    ACTOR,
    Operator,
    changes_of,
    found_cause,
    release_at,
    with_changes,
)
from benchmarks.trial.readings import LineReadings
from benchmarks.trial.records import (
    Checkpoint,
    Conditions,
    Intervention,
    Pending,
    Raised,
    TrialArguments,
    Week,
)

ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
WEEK = 7 * DAY
BLOCK = 240
"""Minutes of the line acted upon that are simulated and evaluated at once, until an alert is
followed."""
SNAPSHOT = 240
"""Minutes between two stored states of the line left alone."""


@dataclass
class Lines:
    """The trial between two weeks: both lines with their readings, the models, the episodes with
    feedback, all weeks so far."""

    arguments: TrialArguments
    definition: TrainedDefinition
    revision: Revision
    asset: Asset
    left: DemoLineState
    acted: DemoLineState
    left_readings: LineReadings
    acted_readings: LineReadings
    models: TrialModels
    conditions: Conditions
    serving: int = 0
    serving_naively: int = 0
    pending: tuple[Pending, ...] = ()
    snapshots: list[DemoLineState] = field(default_factory=list)
    episodes: list[Episode] = field(default_factory=list)
    weeks: list[Week] = field(default_factory=list)

    @property
    def window(self) -> int:
        """Return the minutes from an alert to the end of its prediction."""
        return int(self.definition.window.until / timedelta(minutes=1))

    @property
    def first(self) -> int:
        """Return the first minute of the first week."""
        return self.arguments.history * DAY


def begin(arguments: TrialArguments, definition: TrainedDefinition) -> Lines:
    """Return a trial at the end of its history, which both lines share; its line has no
    showcase."""
    asset = demo_asset()
    simulated = simulate(new_line(arguments.seed, ORIGIN, 0), arguments.history * DAY)
    left = LineReadings(asset)
    acted = LineReadings(asset)
    left.add(simulated)
    acted.add(simulated)
    state = ConditionState(watermark=simulated.state.until)
    return Lines(
        arguments=arguments,
        definition=definition,
        revision=next_revision(definition, None, "trial", ORIGIN, "the definition of a trial"),
        asset=asset,
        left=simulated.state,
        acted=simulated.state,
        left_readings=left,
        acted_readings=acted,
        models=TrialModels(definition),
        conditions=Conditions(state, state, state),
    )


def walk_week(lines: Lines, new_platform: NewPlatform, progress: Progress) -> Checkpoint:
    """Train if a training is due, then advance both lines by one week. Return what continues the
    trial from there."""
    number = len(lines.weeks) + 1
    trained = _train(lines, new_platform, number, progress)
    known = len(lines.episodes)
    week = Week(number, trained=trained)
    week = _walk_left(lines, new_platform, week)
    week = _walk_acted(
        lines,
        new_platform,
        week,
        lambda minute: progress(f"week {number}: the line acted upon", minute, WEEK),
    )
    lines.weeks.append(week)
    of_week = [s for s in lines.snapshots if s.minute >= lines.left.minute - WEEK]
    return Checkpoint(
        week=week,
        left=lines.left,
        acted=lines.acted,
        conditions=lines.conditions,
        pending=lines.pending,
        snapshots=tuple(of_week),
        episodes=tuple(lines.episodes[known:]),
        models=len(lines.models.files),
        serving=lines.serving,
        serving_naively=lines.serving_naively,
    )


def _train(
    lines: Lines, new_platform: NewPlatform, number: int, progress: Progress
) -> tuple[str, ...]:
    """Train before the first week, and then every few weeks on the line acted upon: with its
    feedback, and without."""
    arguments = lines.arguments
    if number > 1 and (not arguments.retrain or (number - 1) % arguments.retrain):
        return ()
    at = lines.acted.until
    name = lines.definition.name

    def of_trial(step: str, done: int, total: int | None) -> None:
        progress(f"week {number}: training, {step}", done, total)

    def trained(episodes: list[Episode]) -> tuple[int, str]:
        view = plant_view(new_platform(), lines.asset, lines.acted_readings, lines.revision, at)
        files, reason = train_model(view, name, episodes, at, of_trial)
        return lines.models.add(files), reason

    lines.serving, reason = trained(lines.episodes)
    if number == 1:
        lines.serving_naively = lines.serving
        return (f"week 1: {reason}",)
    lines.serving_naively, naive = trained([])
    return f"week {number}, with feedback: {reason}", f"week {number}, without feedback: {naive}"


def _evaluate(
    view: BacktestPorts, lines: Lines, state: ConditionState, until: datetime, version: int
) -> TargetEvaluation:
    interval = VersionInterval(state.watermark, until, lines.revision, version)
    return evaluate_parts(view, lines.models, lines.asset, state, [interval], named=True)


def _walk_left(lines: Lines, new_platform: NewPlatform, week: Week) -> Week:
    """Advance the line left alone by a week; note its alerts by both models, with contributions."""
    end = lines.left.minute + WEEK
    while lines.left.minute < end:
        lines.snapshots.append(lines.left)
        advance = simulate(lines.left, min(end, lines.left.minute + SNAPSHOT))
        lines.left_readings.add(advance)
        lines.left = advance.state
    view = plant_view(
        new_platform(), lines.asset, lines.left_readings, lines.revision, lines.left.until
    )
    conditions = lines.conditions
    served = _evaluate(view, lines, conditions.left, lines.left.until, lines.serving)
    raised = _raised(lines, served)
    naive = raised
    naive_state = served.state
    if lines.serving_naively != lines.serving:
        evaluated = _evaluate(
            view, lines, conditions.naive, lines.left.until, lines.serving_naively
        )
        naive = _raised(lines, evaluated)
        naive_state = evaluated.state
    lines.conditions = replace(conditions, left=served.state, naive=naive_state)
    return replace(week, left=raised, naive=naive)


def _raised(lines: Lines, evaluated: TargetEvaluation) -> tuple[Raised, ...]:
    found = []
    for at, of_raise in sorted(evaluated.raises.items()):
        why = (
            ()
            if of_raise.model is None or of_raise.row is None
            else contributions(of_raise.model, of_raise.row, lines.asset)
        )
        found.append(Raised(lines.left.minutes_at(at), tuple(c.variable for c in why)))
    return tuple(found)


def _walk_acted(
    lines: Lines, new_platform: NewPlatform, week: Week, report: Callable[[int], None]
) -> Week:
    """Advance the line acted upon by a week, in blocks that end at an alert, or when the operator
    acts."""
    start = lines.acted.minute
    end = lines.acted.minute + WEEK
    operator = Operator(lines.arguments.seed, lines.arguments.follow, lines.arguments.delay)
    view = plant_view(
        new_platform(), lines.asset, lines.acted_readings, lines.revision, lines.acted.until
    )
    while lines.acted.minute < end:
        report(lines.acted.minute - start)
        week = _act(lines, week)
        stop = min([end, lines.acted.minute + BLOCK, *(p.act for p in lines.pending)])
        episode = _advance_to_alert(lines, view, stop)
        if episode is None:
            continue
        alert = lines.acted.minute
        week = replace(
            week,
            acted=(*week.acted, Raised(alert, tuple(c.variable for c in episode.contributions))),
        )
        if operator.follows(alert):
            lines.pending = (*lines.pending, Pending(alert + operator.delay, alert, episode))
        else:
            week = replace(week, ignored=week.ignored + 1)
            lines.episodes.append(episode)
    return week


def _advance_to_alert(lines: Lines, view: BacktestPorts, stop: int) -> Episode | None:
    """Advance the line acted upon to `stop`, or to the next alert before it. Return its episode;
    None without one.

    Minutes after the alert were computed without the operator's action, so they are taken back.
    """
    before = lines.acted
    state = lines.conditions.acted
    advance = simulate(before, stop)
    lines.acted_readings.add(advance)
    lines.acted = advance.state
    evaluated = _evaluate(view, lines, state, lines.acted.until, lines.serving)
    first = min(evaluated.raises, default=None)
    if first is not None and first < lines.acted.until:
        lines.acted = simulate(before, before.minutes_at(first)).state
        lines.acted_readings.take_back(first)
        evaluated = _evaluate(view, lines, state, first, lines.serving)
    lines.conditions = replace(lines.conditions, acted=evaluated.state)
    if first is None:
        return None
    made = new_episodes(evaluated, lines.revision, lines.asset, None, backfilled=False)
    (episode,) = (e for e in made.values() if e.raised_at == first)
    return replace(episode, condition="closed", closed_at=episode.valid_until)


def _act(lines: Lines, week: Week) -> Week:
    """Change the set-points of the alerts that the operator follows in this minute, and give the
    feedback on them."""
    minute = lines.acted.minute
    schedule = lines.acted.schedule
    for pending in [p for p in lines.pending if p.act <= minute]:
        release = max(minute + 1, release_at(schedule, pending.alert, lines.window))
        advice = pending.episode.recommendation
        changes = changes_of(lines.asset, lines.acted, advice, release - minute)
        if changes and advice is not None:
            lines.acted = with_changes(lines.acted, changes, release)
            done = Intervention(pending.alert, minute, release, changes, advice.helps)
            week = replace(week, interventions=(*week.interventions, done))
        else:
            week = replace(week, without_advice=week.without_advice + 1)
        cause = found_cause(schedule.acting(minute), minute)
        at = lines.acted.until
        answer = Feedback(
            episode=pending.episode.id,
            verdict="true_alarm" if cause else "false_alarm",
            acted=bool(changes),
            action=advice.message if changes and advice is not None else None,
            comment=None,
            actor=ACTOR,
            at=at,
            acted_at=at if changes else None,
        )
        lines.episodes.append(replace(pending.episode, feedback=(answer,)))
        lines.pending = tuple(p for p in lines.pending if p is not pending)
    return week
