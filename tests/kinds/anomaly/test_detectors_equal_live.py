"""What a training of a detector prints of problems and false alarms is what live evaluation gives,
on hourly readings without a declared sampling."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from alerting.definitions.asset_documents import Asset, Variable
from alerting.usecases.episodes.outcomes import determine_due_outcomes
from alerting.usecases.evaluation.rounds import evaluate_past
from alerting.usecases.make_reports import compose_report
from alerting.usecases.model_registry import load_model
from tests.builders import at
from tests.helpers.fan_line import ASSET, BROKEN, DAY, LEVELS, REPAIRED, rows
from tests.helpers.kind_life import platform_with, trained_at

pytestmark = pytest.mark.models

END = 24 * DAY
HOUR = timedelta(hours=1)
PLAIN = {
    "name": "fan",
    "assets": [ASSET],
    "problem": {"variable": "state", "above": 0.5},
    "normal": "24d",
    "schedule": {"retrain": None},
}
KINDS = {
    "anomaly": {"kind": "anomaly", "exclude": ["state"]},
    "control chart": {"kind": "control_chart", "variable": "hum"},
}


def plant(document, horizon=None):
    """Return a platform whose fan is broken for some hours, with its training's evidence, the
    horizon in service, and the report on the time after the training cutoff."""
    variables = {name: Variable() for name in (*LEVELS, "hum", "state")}
    random = np.random.default_rng(0)
    readings = []
    for row in rows(every=60, less=40.0):
        is_broken = float(at(BROKEN) <= row.ts < at(REPAIRED))
        hum = random.normal() + 9 * is_broken
        readings.append(replace(row, values={**row.values, "hum": hum, "state": is_broken}))
    stated = {} if horizon is None else {"horizon": horizon}
    platform = platform_with(
        Asset(name=ASSET, variables=variables), readings, PLAIN | document | stated
    )
    decided = trained_at(platform, "fan", END)
    revision = platform.definitions.newest_revision("fan")
    cutoff = load_model(platform, revision.definition, 1).training_cutoff
    platform.clock.instant = at(END + DAY)
    evaluate_past(platform, "fan", cutoff, at(END), "1", "latest")
    determine_due_outcomes(platform, at(END + DAY))
    report = compose_report(platform, revision, cutoff, at(END), at(END + DAY))
    windows = {e.valid_until - e.raised_at for e in platform.episodes.find("fan")}
    return decided, report.content.metrics, windows


@pytest.mark.parametrize("kind", KINDS)
def test_found_problems_delays_and_false_alarms_of_a_training_are_those_of_live_evaluation(kind):
    decided, live, windows = plant(KINDS[kind])
    printed = decided.evidence
    assert (printed["problems"], printed["found"], printed["found_while_lasting"]) == (1, 1, 1)
    assert (len(live["problems"]), live["delay"]["value"]) == (1, printed["usual_delay_s"])
    false_alarms = printed["false_alarms" if kind == "anomaly" else "signals"]
    assert live["outcomes"]["false_alarm"] == false_alarms
    assert live["outcomes"]["hit"] >= 1
    assert live["outcomes"]["undetermined"] == 0
    assert (windows, live["horizon_s"]) == ({HOUR}, 3600)
    assert "1 of 1 problem was found while it lasted" in live["judgement"]["sentence"]


def test_a_written_horizon_stays():
    _, live, windows = plant(KINDS["anomaly"], "30m")
    assert (windows, live["horizon_s"]) == ({timedelta(minutes=30)}, 1800)
