"""Material of a report as a base for test cases: one oven evaluated for four weeks, or many."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from alerting.detection.evaluation_results_and_texts import Evaluation
from alerting.episodes.episode import Contribution, Episode, Feedback, episode_id
from alerting.episodes.lifecycle import Observed, acted_within, consensus, determine_outcome
from alerting.kinds.registry import parse_definition
from alerting.reporting.definition.period_data import Material, ModelInService

START = datetime(2026, 1, 5, tzinfo=UTC)
END = START + timedelta(weeks=4)
H = timedelta(hours=1)
CLASSIFIER = parse_definition(
    {
        "name": "too-moist",
        "title": "Biscuits too moist",
        "kind": "classifier",
        "assets": ["oven-*"],
        "problem": {"variable": "moisture", "above": 4.5},
        "horizon": "4h",
        "gap": "30m",
    }
)
THRESHOLD = parse_definition(
    {
        "name": "too-hot",
        "kind": "threshold",
        "assets": ["oven-1"],
        "variable": "temperature",
        "above": 215,
    }
)


def problems(*hours, asset="oven-1", length=H):
    starts = [START + h * H for h in hours]
    ends = [s + length for s in starts]
    frame = pd.DataFrame(
        {
            "asset": [asset] * len(starts),
            "start": starts,
            "last": ends,
            "end": ends,
            "known_at": starts,
        }
    )
    return frame.astype(dict.fromkeys(("start", "last", "end", "known_at"), "datetime64[ms, UTC]"))


def episode(
    hour,
    asset="oven-1",
    value=0.8,
    outcome=None,
    said=(),
    late=timedelta(minutes=1),
    backfilled=False,
    definition=CLASSIFIER,
):
    """Return an episode raised `hour` hours after START. `outcome`: `Observed.occurred`. `said`:
    (verdict, acted, actor)."""
    raised = START + hour * H
    key = episode_id(definition.name, asset, raised)
    feedback = tuple(
        Feedback(
            key,
            verdict,
            acted,
            "lowered zone 2" if acted else None,
            "steam valve",
            actor,
            raised + H,
        )
        for verdict, acted, actor in said
    )
    window_end = raised + definition.gap + definition.horizon
    outcome_record = determine_outcome(
        definition.problem is not None,
        Observed(outcome or "unknown", reason="the horizon is not over"),
        acted_within(feedback, raised, window_end),
        consensus(feedback)[0],
    )
    return Episode(
        id=key,
        definition=definition.name,
        revision=3,
        kind=definition.kind,
        asset=asset,
        title=definition.title or definition.name,
        severity="high",
        raised_at=raised,
        detected_at=raised + late,
        condition="closed",
        closed_at=raised + 2 * H,
        evaluation=Evaluation(raised, "triggered", "risk 0.80 is at or above 0.50", value, 0.5, 2),
        model_version=2,
        backfilled=backfilled,
        contributions=(
            Contribution("zone_2", 0.31, 232.0, 220.0, "zone 2 temperature, 12 °C above its usual"),
        ),
        feedback=feedback,
        outcome_record=outcome_record,
    )


def scores(problem_hours, asset="oven-1", seed=0, hours=24 * 28):
    """Return hourly scores that correlate with the problems, and the labels of the definition's
    horizon."""
    rng = np.random.default_rng(seed)
    at = np.arange(1, hours)
    label = np.zeros(len(at))
    for h in problem_hours:
        label[(at >= h - 4.5) & (at < h - 0.5)] = 1
    score = 1 / (1 + np.exp(-(4.5 * label + rng.normal(-3, 1.1, len(at)))))
    label[at > hours - 6] = np.nan
    frame = pd.DataFrame(
        {
            "asset": asset,
            "ts": [START + int(h) * H for h in at],
            "score": score,
            "threshold": 0.5,
            "model_version": 2,
        }
    )
    frame["label"] = label
    frame["persistence"] = rng.normal(0, 1, len(at)) + 0.8 * np.nan_to_num(label)
    return frame.astype({"ts": "datetime64[ms, UTC]"})


GOOD_PROBLEMS = (40.5, 101, 200, 290, 333, 410, 480, 555, 610)
MODELS = (
    ModelInService(1, START - 10 * H, START + 100 * H, True, "run-1", "no champion before it"),
    ModelInService(
        2,
        START + 100 * H,
        None,
        False,
        "run-2",
        "found 3 more problems of 12, in 96 % of the samples",
    ),
)


def good_material():
    """Return material with nine problems, seven of them announced; some false alarms, one avoided,
    one undetermined."""
    hits = [
        episode(h - 2, outcome="in_time", said=[("true_alarm", False, "anna")])
        for h in GOOD_PROBLEMS[:7]
    ]
    others = [
        episode(60, outcome="no", value=0.55),
        episode(150, outcome="no", value=0.93, said=[("false_alarm", False, "anna")]),
        episode(260, outcome="no", said=[("true_alarm", True, "ben")]),
        episode(670, outcome=None),
    ]
    return Material(
        definition=CLASSIFIER,
        revision=3,
        start=START,
        end=END,
        as_of=END + H,
        episodes=hits + others,
        problems=problems(*GOOD_PROBLEMS),
        scores=scores(GOOD_PROBLEMS),
        models=MODELS,
        evaluated={"oven-1": (START, END)},
    )


def threshold_material(episodes=()):
    """Return material of a threshold definition without a problem: only feedback determines whether
    an alarm was right."""
    nothing = scores(()).iloc[:0]
    return replace(
        good_material(),
        definition=THRESHOLD,
        episodes=list(episodes),
        problems=problems(),
        scores=nothing,
        models=(),
    )
