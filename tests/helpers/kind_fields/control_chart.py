"""A control chart's fields: its life, before and after a change of each."""

import numpy as np

from alerting.definitions.alert_definition import Costs, Problem
from alerting.definitions.asset_documents import Variable
from alerting.definitions.fields.shared_fields import CommonFields
from alerting.ports import ReadingRow
from tests.builders import at
from tests.helpers.fields import leaves, once_per_change
from tests.helpers.kind_life import described, life_of
from tests.helpers.press_line import press

DAY = 24 * 60
TRAINED = 8 * DAY
END = 9 * DAY
SHORT = {"average_run_length": 200, "normal": "6d"}


def rows():
    """Return readings that depend on those before them, with one shift in phase I, a gap, and
    shifts after the training."""
    random = np.random.default_rng(3)
    minutes = range(0, END, 10)
    value = 0.0
    found = []
    for m, noise in zip(minutes, random.normal(0, 1, len(minutes)).tolist(), strict=True):
        value = 0.5 * value + noise
        shift = (
            4 * (3 * DAY < m < 3.5 * DAY)
            + 3 * (8.2 * DAY < m < 8.4 * DAY)
            - 2 * (8.6 * DAY < m < 8.7 * DAY)
        )
        if not 8.45 * DAY < m < 8.5 * DAY:
            values = {"force": 200 + value + shift, "heat": 50 - value, "die": "AB"[m // 720 % 2]}
            found.append(ReadingRow("press-1", at(m), values))
    return found


@once_per_change
def life(**changes):
    """Return the results of a definition: decision, notes, and episodes with their outcome."""
    others = {"heat": press().variables["force"], "die": Variable(type="category")}
    asset = press().model_copy(update={"variables": press().variables | others})
    document = {
        "name": "shifted",
        "kind": "control_chart",
        "assets": ["press-1"],
        "variable": "force",
        **SHORT,
        **changes,
    }
    return life_of(asset, rows(), document, TRAINED, END + 300, described)


SHEWHART = {"chart": "shewhart"}
PROBLEM = {"problem": {"variable": "force", "above": 203}}
CHANGES = {
    "variable": [{}, {"variable": "heat"}],
    "chart": [{}, {"chart": "cusum"}],
    "subgroup": [{}, {"subgroup": 4}],
    "rules": [
        SHEWHART | {"rules": ["nelson_1"]},
        SHEWHART | {"rules": ["nelson_1", "nelson_5", "nelson_6"]},
    ],
    "smoothing": [{}, {"smoothing": 0.4}],
    "shift": [{"chart": "cusum"}, {"chart": "cusum", "shift": 3}],
    "average_run_length": [{}, {"average_run_length": 5000}],
    "normal": [{}, {"normal": "2d"}],
    "normal.from": [
        {"normal": {"from": at(0).isoformat(), "to": at(7 * DAY).isoformat()}},
        {"normal": {"from": at(5 * DAY).isoformat(), "to": at(7 * DAY).isoformat()}},
    ],
    "normal.to": [
        {"normal": {"from": at(0).isoformat(), "to": at(7 * DAY).isoformat()}},
        {"normal": {"from": at(0).isoformat(), "to": at(2 * DAY).isoformat()}},
    ],
    "autocorrelation": [{}, {"autocorrelation": "ignore"}],
    "stale_after": [{}, {"stale_after": "12m"}],
    "clear_for": [{}, {"clear_for": "6h"}],
    "promotion.mode": [{}, {"promotion": {"mode": "approval"}}],
    "severity": [{}, {"severity": "high"}],
    "title": [{}, {"title": "The press has shifted"}],
    "guidance.action": [{}, {"guidance": {"action": "Call maintenance."}}],
    "problem.variable": [{}, PROBLEM],
    "horizon": [PROBLEM, PROBLEM | {"horizon": "2h"}],
    "gap": [PROBLEM, PROBLEM | {"gap": "1h"}],
    "suppression.when.variable": [
        {},
        {
            "suppression": {
                "when": [
                    {"variable": "force", "above": 201.5, "recovery": "2h", "stale_after": "1h"}
                ]
            }
        },
    ],
}
PROOFS = {field: (life, *changes) for field, changes in CHANGES.items()}
ELSEWHERE = {
    # the same code as for thresholds
    *leaves(CommonFields),
    *(f"problem.{field}" for field in leaves(Problem)),
    *(f"costs.{field}" for field in leaves(Costs)),
    "kind",
}
