"""An anomaly definition's fields: its life, before and after a change of each."""

import numpy as np

from alerting.definitions.alert_definition import Costs, Problem
from alerting.definitions.asset_documents import Asset, Variable
from alerting.definitions.fields.shared_fields import CommonFields
from alerting.ports import ReadingRow
from tests.builders import at
from tests.helpers.fields import leaves, once_per_change
from tests.helpers.kind_life import described, life_of

DAY = 24 * 60
TRAINED = 6 * DAY
END = 7 * DAY
SHORT = {
    "windows": ["40m"],
    "surroundings": "0s",
    "schedule": {"retrain": None},
    "threshold": {"false_alarms_per_week": 7},
}


def rows():
    """Return three variables that move together; one leaves the others in the past, and often after
    the training."""
    random = np.random.default_rng(3)
    minutes = np.arange(0, END, 10)
    load = np.sin(2 * np.pi * minutes / DAY) + 0.3 * random.normal(size=len(minutes))
    heat, flow, force = (
        level + by * load + 0.2 * random.normal(size=len(minutes))
        for level, by in ((50, 3), (60, 5), (20, 2))
    )
    for start, lasts, less in (
        (2, 0.05, 9),
        (3, 0.2, 2),
        (6.1, 0.02, 3),
        (6.3, 0.15, 2),
        (6.6, 0.05, 9),
        (6.7, 0.02, 4),
    ):
        flow -= less * ((minutes >= start * DAY) & (minutes < (start + lasts) * DAY))
    columns = {"heat": heat, "flow": flow, "force": force}
    return [
        ReadingRow(
            "press-1",
            at(m),
            {name: float(values[i]) for name, values in columns.items()}
            | {"recipe": "AB"[m // 720 % 2]},
        )
        for i, m in enumerate(minutes.tolist())
    ]


@once_per_change
def life(**changes):
    """Return the results of a definition: decision, notes, and episodes with their outcome."""
    numbers = {name: Variable(low=0, high=200) for name in ("heat", "flow", "force")}
    press = Asset(name="press-1", variables=numbers | {"recipe": Variable(type="category")})
    document = {"name": "unlike", "kind": "anomaly", "assets": ["press-1"], **SHORT, **changes}
    return life_of(press, rows(), document, TRAINED, END + 300, described)


def escalation(severity="high", **how):
    return {"escalation": [{"severity": severity, **how}]}


PROBLEM = {"problem": {"variable": "flow", "below": 52}}
DATES = {"from": at(0).isoformat(), "to": at(5 * DAY).isoformat()}
CHANGES = {
    "include": [{}, {"include": ["f*"]}],
    "exclude": [{}, {"exclude": ["heat"]}],
    "by": [{}, {"by": "recipe"}],
    "normal": [{}, {"normal": "4d"}],
    "normal.from": [{"normal": DATES}, {"normal": DATES | {"from": at(DAY).isoformat()}}],
    "normal.to": [{"normal": DATES}, {"normal": DATES | {"to": at(4 * DAY).isoformat()}}],
    "surroundings": [PROBLEM, PROBLEM | {"surroundings": "3h"}],
    "contamination": [{"contamination": 0}, {"contamination": 0.1}],
    "windows": [{}, {"windows": ["80m"]}],
    "aggregations": [{}, {"aggregations": ["mean", "max"]}],
    "stride": [{}, {"stride": "20m"}],
    "threshold.false_alarms_per_week": [{}, {"threshold": {"false_alarms_per_week": 10}}],
    "threshold.time_in_alarm": [{}, {"threshold": {"time_in_alarm": 0.05}}],
    "for": [{}, {"for": "1h"}],
    "clear_for": [{}, {"clear_for": "6h"}],
    "escalation.severity": [escalation(score=1.2), escalation("critical", score=1.2)],
    "escalation.score": [escalation(score=1.2), escalation(score=500)],
    "escalation.share": [escalation(share=0.3, over="1h"), escalation(share=1.0, over="1d")],
    "escalation.over": [escalation(share=0.9, over="20m"), escalation(share=0.9, over="1d")],
    "promotion.mode": [{}, {"promotion": {"mode": "approval"}}],
    "severity": [{}, {"severity": "high"}],
    "title": [{}, {"title": "The press runs unlike normal"}],
    "guidance.action": [{}, {"guidance": {"action": "Call maintenance."}}],
    "problem.variable": [{}, PROBLEM],
    "horizon": [PROBLEM, PROBLEM | {"horizon": "2h"}],
    "gap": [PROBLEM, PROBLEM | {"gap": "1h"}],
}

PROOFS = {field: (life, *changes) for field, changes in CHANGES.items()}
ELSEWHERE = {
    # the same code as for thresholds
    *leaves(CommonFields),
    *(f"problem.{field}" for field in leaves(Problem)),
    *(f"costs.{field}" for field in leaves(Costs)),
    "kind",
}
