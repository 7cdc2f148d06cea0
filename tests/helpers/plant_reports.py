"""Reports on the plant as a base for test cases."""

from datetime import timedelta

from alerting.alarm_kpis.kpis import kpis
from alerting.reporting.plant.metrics import compute_plant
from alerting.reporting.plant.summary import DefinitionNumbers
from tests.report_material import END, START


def summary(name="too-moist", **changes):
    defaults = {
        "title": name, "kind": "classifier", "trained": True, "assets": 1, "weeks": 4.0,
        "trust": "yes", "sentence": "",
        "episodes": 10, "hits": 7, "avoided": 1, "false_alarms": 2, "undetermined": 0,
        "problems": 9, "announced": 7,
        "false_alarms_a_week": 0.5, "lead_time_s": 7140.0, "answered": 9, "notified": 10,
    }  # fmt: skip
    return DefinitionNumbers(name=name, **defaults | changes)


def plant(*summaries):
    return compute_plant(START, END, END + timedelta(hours=1), summaries, kpis([], START, END))
