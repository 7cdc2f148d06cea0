"""Does similarity find the cause? Earlier alerts of the demo line with known causes.

A line is left alone for 30 days of history and `ALERTING_BENCH_WEEKS` weeks (12); one model is
trained on the history. For each alert of the weeks with a known cause, the majority of the three
most similar earlier ones names a cause; the peer takes the earlier ones in which the same variable
contributed most, the newest three. Two lines: that of the demo, and one on which two causes have
one signature: the burner of zone 2 loses power in both, and contributes most; in one of them the
air gets damp besides. Then an operator who has tried one of three actions in each earlier alert, at
random, takes the one that the page of the alert lists first; whether it helps is simulated.
`ALERTING_BENCH_SEEDS`: number of each line, from seed 21 (5). Counts of each line are kept in
`similar.jsonl` below ALERTING_BENCH_KEPT (.alerting/benchmarks), named by a hash of the code; an
interrupted run goes on.
"""

import hashlib
import json
import os
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import alerting
from alerting.adapters.memory.platform import memory_platform
from alerting.definitions.model import TrainedDefinition
from alerting.definitions.revisions import next_revision
from alerting.demo.asset import demo_asset
from alerting.demo.chance import DAY
from alerting.demo.disturbances import Disturbance
from alerting.demo.line import DemoLineState, SetPointChange, simulate
from alerting.detection.evaluation import Evaluation
from alerting.episodes.episode import Episode, Feedback, OutcomeRecord
from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.protocol.evaluation import VersionInterval
from alerting.recommendation.contributions import contributions
from alerting.recommendation.experience import find_similar, summarise
from alerting.usecases.evaluation.target import evaluate_parts
from benchmarks.trial.learner import TrialModels, plant_view, train_model
from benchmarks.trial.readings import LineReadings
from benchmarks.trial.shared_signature import SharedSignatureLine
from benchmarks.trial.trial import FIRST_SEED, trial_definition
from benchmarks.trial.truth import SAME, cause_of, problems_after
from benchmarks.trial.walk import ORIGIN, WEEK

HISTORY = 30 * DAY
NEAREST = 3
DELAY = 3  # minutes from an alert to a change
HOLD = 60
SNAPSHOT = 240
LEAST_EARLIER = 10
LINES: Mapping[str, type[DemoLineState]] = {
    "demo": DemoLineState,
    "two causes of one signature": SharedSignatureLine,
}
ACTIONS: dict[str, dict[str, float]] = {
    "belt slowed by 0.4 m/min": {"belt_speed_setpoint": -0.4},
    "belt slowed by 0.8 m/min": {"belt_speed_setpoint": -0.8},
    "zone 3 raised by 10 °C": {"zone_3_setpoint": 10.0},
}
"""What an operator may do about an alert of the benchmark."""


@dataclass(frozen=True)
class KnownAlert:
    """An alert with its true cause, and the actions after which no problem came. `comes`: it came
    without any. `began`: minute at which the cause began to act."""

    episode: Episode
    cause: str
    began: int
    comes: bool
    helps: frozenset[str]


def run() -> dict[str, Any]:
    """Return the share of alerts whose cause the majority of the most similar earlier ones names,
    and the share of suggested actions that avoid the problem, on each line."""
    weeks = int(os.environ.get("ALERTING_BENCH_WEEKS", "12"))
    lines = int(os.environ.get("ALERTING_BENCH_SEEDS", "5"))
    definition = trial_definition()
    kept = Path(os.environ.get("ALERTING_BENCH_KEPT", ".alerting/benchmarks")) / "similar.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    made = _read(kept)
    by_line = {}
    pooled: Counter[str] = Counter()
    for name, line in LINES.items():
        totals: Counter[str] = Counter()
        by_seed = []
        for seed in range(FIRST_SEED, FIRST_SEED + lines):
            key = f"{name}, {weeks} weeks, seed {seed}, {version()}"
            if key not in made:
                start = line(seed=seed, origin=ORIGIN, live_from=0)
                made[key] = _count(known_alerts(definition, start, weeks), seed)
                with kept.open("a") as out:
                    out.write(json.dumps({"key": key, "counts": made[key]}) + "\n")
            totals += made[key]
            by_seed.append({"seed": seed, **_shares(made[key])})
        by_line[name] = {**_shares(totals), "by_seed": by_seed}
        pooled += totals
    shared = by_line["two causes of one signature"]
    found = shared["cause"]
    peer = shared["cause_by_strongest_variable"]
    least = min(one[share] for one in by_line.values() for share in ("cause", "action"))
    return {
        "benchmark": "similar",
        "figure": found,
        "unit": "share of alerts whose cause is found where two causes have one signature, "
        f"{weeks} weeks, {lines} lines",
        "peer": "earlier alerts in which the same variable contributes most",
        "peer_figure": peer,
        "ratio": round(found / peer, 3) if peer else None,
        "goal": "10 points above the peer; on each line the cause is found in >= 80 %, and the "
        "action helps in >= 80 %",
        "met": found >= peer + 0.1 and least >= 0.8,
        "lines": by_line,
        "pooled": _shares(pooled),
    }


def version() -> str:
    """Return a hash of what the counts depend on: the line, learning, similarity and this trial."""
    package = Path(alerting.__file__).parent
    folders = [package / name for name in ("demo", "kinds", "learning", "recommendation")]
    digest = hashlib.sha256()
    for folder in (*folders, Path(__file__).parent / "trial"):
        for file in sorted(folder.rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:10]


def _read(kept: Path) -> dict[str, Counter[str]]:
    if not kept.exists():
        return {}
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    return {one["key"]: Counter(one["counts"]) for one in lines}


def known_alerts(
    definition: TrainedDefinition, line: DemoLineState, weeks: int
) -> list[KnownAlert]:
    """Return the alerts of a line left alone whose cause is known, oldest first. `line`: at its
    first instant."""
    asset = demo_asset()
    until = HISTORY + weeks * WEEK
    advance = simulate(line, HISTORY)
    readings = LineReadings(asset)
    readings.add(advance)
    state = advance.state
    trained_at = state.until
    revision = next_revision(definition, None, "benchmark", ORIGIN, "earlier alerts")
    view = plant_view(memory_platform(), asset, readings, revision, trained_at)
    models = TrialModels(definition)
    files, _ = train_model(view, definition.name, [], trained_at, lambda *_: None)
    version = models.add(files)
    snapshots = []
    while state.minute < until:
        snapshots.append(state)
        advance = simulate(state, min(until, state.minute + SNAPSHOT))
        readings.add(advance)
        state = advance.state
    view = plant_view(memory_platform(), asset, readings, revision, state.until)
    evaluated = evaluate_parts(
        view,
        models,
        asset,
        ConditionState(watermark=trained_at),
        [VersionInterval(trained_at, state.until, revision, version)],
        named=True,
    )
    disturbances = state.schedule.disturbances(max(0, HISTORY - DAY), until)
    found = []
    for at, of_raise in sorted(evaluated.raises.items()):
        minute = state.minutes_at(at)
        cause = cause_of(disturbances, minute)
        if cause is None or of_raise.model is None or of_raise.row is None:
            continue
        snapshot = max((s for s in snapshots if s.minute <= minute), key=lambda s: s.minute)
        why = contributions(of_raise.model, of_raise.row, asset)
        episode = Episode(
            id=f"{minute:024d}",
            definition=definition.name,
            revision=1,
            kind=definition.kind,
            asset=asset.name,
            title=definition.name,
            severity=definition.severity,
            raised_at=at,
            detected_at=at,
            condition="closed",
            closed_at=at + definition.window.until,
            evaluation=Evaluation(at, "triggered", ""),
            contributions=why,
        )
        found.append(_known(definition, snapshot, episode, cause, minute))
    return found


def _known(
    definition: TrainedDefinition,
    line: DemoLineState,
    episode: Episode,
    cause: Disturbance,
    minute: int,
) -> KnownAlert:
    asset = demo_asset()
    begin = simulate(line, minute + DELAY).state
    until = minute + int(definition.window.until / timedelta(minutes=1)) + SAME
    helps = set()
    for name, moves in ACTIONS.items():
        changes = tuple(
            SetPointChange(
                begin.minute,
                variable,
                begin.setpoint(variable, begin.minute) + move,
                begin.setpoint(variable, begin.minute),
                "benchmark",
                hold=HOLD,
            )
            for variable, move in moves.items()
        )
        if not problems_after(definition, asset, replace(begin, changes=changes), until):
            helps.add(name)
    return KnownAlert(
        episode,
        cause.cause,
        cause.start,
        bool(problems_after(definition, asset, begin, until)),
        frozenset(helps),
    )


def _count(alerts: Sequence[KnownAlert], seed: int) -> Counter[str]:
    """Return how often the cause is found, by similarity and by the strongest variable; and of
    alerts whose problem some action avoids, how often a suggested one does."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    counts: Counter[str] = Counter()
    answered: list[Episode] = []
    causes: dict[str, str] = {}
    began: dict[str, int] = {}
    for alert in alerts:
        # another alert of the same disturbance would give the answer away
        earlier = [e for e in answered if began[e.id] != alert.began]
        if len(earlier) >= LEAST_EARLIER:
            counts["alerts"] += 1
            near = [causes[s.episode.id] for s in find_similar(alert.episode, earlier, NEAREST)]
            counts["cause"] += _majority(near) == alert.cause
            strongest = _strongest(alert.episode)
            peers = [causes[e.id] for e in reversed(earlier) if _strongest(e) == strongest]
            counts["cause_by_strongest_variable"] += _majority(peers[:NEAREST]) == alert.cause
            if alert.comes and alert.helps:
                counts["avoidable"] += 1
                actions = summarise(find_similar(alert.episode, earlier)).actions
                if actions:
                    counts["suggested"] += 1
                    counts["action"] += actions[0].action in alert.helps
                if actions and actions[0].is_advice:
                    counts["advised"] += 1
                    counts["advice"] += actions[0].action in alert.helps
                counts["any_action"] += chance.choice(list(ACTIONS)) in alert.helps
        answered.append(_answered(alert, chance.choice(list(ACTIONS))))
        began[alert.episode.id] = alert.began
        causes[alert.episode.id] = alert.cause
    return counts


def _answered(alert: KnownAlert, action: str) -> Episode:
    """Return the episode after an operator tried an action, with its outcome."""
    at = alert.episode.raised_at + timedelta(minutes=DELAY)
    helped = action in alert.helps
    return replace(
        alert.episode,
        feedback=(Feedback(alert.episode.id, None, True, action, None, "operator", at),),
        outcome_record=OutcomeRecord(
            "avoided" if helped else "hit", "", not helped, None, False, True, 1
        ),
    )


def _strongest(episode: Episode) -> str | None:
    found = max(episode.contributions, key=lambda c: abs(c.share), default=None)
    return None if found is None else found.variable


def _majority(causes: Sequence[str]) -> str | None:
    """Return the most frequent cause, of equally frequent ones the first."""
    return Counter(causes).most_common(1)[0][0] if causes else None


def _shares(counts: Counter[str]) -> dict[str, Any]:
    alerts = max(1, counts["alerts"])
    return {
        "alerts": counts["alerts"],
        "cause": round(counts["cause"] / alerts, 3),
        "cause_by_strongest_variable": round(counts["cause_by_strongest_variable"] / alerts, 3),
        "avoidable": counts["avoidable"],
        "suggested": counts["suggested"],
        "action": round(counts["action"] / max(1, counts["suggested"]), 3),
        "advised": counts["advised"],
        "advice": round(counts["advice"] / max(1, counts["advised"]), 3),
        "any_action": round(counts["any_action"] / max(1, counts["avoidable"]), 3),
    }
