"""A threshold's fields: a whole day in the life of an alert, before and after a change of each."""

from datetime import timedelta

from alerting.definitions.alert_definition import SEVERITIES, Costs, Problem
from alerting.definitions.asset_documents import EventType, Variable
from alerting.kinds.threshold.definition import ThresholdDefinition
from alerting.ports import EventRow, ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate, plan_round
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from alerting.usecases.notification.delivery import deliver_due
from tests.builders import at, oven, too_hot
from tests.helpers.fields import leaves, once_per_change
from tests.in_memory_platform import Mailbox, in_memory_platform

HOT = dict(
    enumerate([200.0] * 10 + [220.0] * 8 + [213.0] * 5 + [180.0] * 4 + [196.0] * 4 + [205.0] * 10)
)


@once_per_change
def day(**changes):
    """Return messages and stored results of an hour with a hot and a cold stretch, moist dough, and
    a stop."""
    mail = Mailbox("mail")
    pager = Mailbox("pager")
    platform = in_memory_platform(mail, pager)
    platform.assets.store_assets([day_oven("oven-1"), day_oven("oven-2")])
    document = (
        too_hot(stale_after="5m", **changes) if "stale_after" not in changes else too_hot(**changes)
    )
    rows = [
        ReadingRow("oven-1", at(m), {"temperature": v, "moisture": 3.0 + 2 * (m % 40 > 22)})
        for m, v in HOT.items()
    ]
    rows += [
        ReadingRow("oven-1", at(m), {"temperature": 205.0, "moisture": 3.0})
        for m in range(48, 240, 4)
    ]
    rows += [ReadingRow("oven-2", at(m), {"temperature": 230.0, "moisture": 3.0}) for m in range(5)]
    add_readings(platform, rows, at(0))
    platform.assets.put_event_types([EventType(name="stop", duration="lasting")])
    add_events(platform, [EventRow("oven-1", "stop", at(34), at(36), "test")], at(0))
    apply(platform, [document], "engineer", at(-1), "test")
    for m in range(0, 240, 7):
        platform.clock.instant = at(m)
        evaluate(platform, None, at(m))
        deliver_due(platform, at(m))
        if m == 210:  # and a reading that comes half an hour late
            add_readings(platform, [ReadingRow("oven-1", at(182), {"temperature": 230.0})], at(m))
    kept = sorted(
        (e.asset, e.raised_at, e.closed_at, e.severity, e.severity_peak, e.title, e.outcome_record)
        for e in platform.episodes.find()
    )
    return (
        kept,
        [(m.key, m.subject, m.text) for m in (*mail.messages, *pager.messages)],
        plan_round(platform, timedelta(minutes=1), 2, platform.clock.now()).shards,
    )


def day_oven(name):
    temperature = Variable(unit="°C", title="Zone 2 temperature")
    attributes = {"low": 190.0, "high": 219.0, "mid": 212.0, "top": 300.0}
    return oven(temperature=temperature).model_copy(update={"name": name, "attributes": attributes})


def attribute(name):
    return {"attribute": name}


BAND = {"low": 190, "high": 215}
LEVEL_PROOFS = {
    "for": [{"above": 215}, {"above": 215, "for": "5m"}],
    "above": [{"above": 215}, {"above": 212}],
    "above.attribute": [{"above": 215}, {"above": attribute("mid")}],
    "below": [{"below": 100}, {"below": 190}],
    "below.attribute": [{"below": 100}, {"below": attribute("low")}],
    "clear_above_at": [{"above": 215}, {"above": 215, "clear_above_at": 200}],
    "clear_above_at.attribute": [
        {"above": 215},
        {"above": 215, "clear_above_at": attribute("mid")},
    ],
    "clear_below_at": [{"below": 190}, {"below": 190, "clear_below_at": 200}],
    "clear_below_at.attribute": [
        {"below": 190},
        {"below": 190, "clear_below_at": attribute("high")},
    ],
}
BAND_PROOFS = {
    "low": [{"low": 100, "high": 203}, {"low": 190, "high": 203}],
    "low.attribute": [{"low": 100, "high": 203}, {"low": attribute("low"), "high": 203}],
    "high": [{"low": 190, "high": 300}, {"low": 190, "high": 215}],
    "high.attribute": [{"low": 190, "high": 300}, {"low": 190, "high": attribute("mid")}],
}
NO_LIMIT = {"above": None}


def clear_inside(low=190, high=215):
    return {**NO_LIMIT, "outside": BAND, "clear_inside": {"low": low, "high": high}}


def clear_outside(value, low, high):
    return {
        **NO_LIMIT,
        "inside": {"low": value - 1, "high": value + 1},
        "clear_outside": {"low": low, "high": high},
    }


STOP = {"event": "stop"}


def suppressed(*states, **more):
    """From 203 on it is raised at minute 10 and told at 14, and again at 31 and 35, in the midst of
    the stop."""
    return {"above": 203, "suppression": {"when": states, **more}}


def window(**more):
    return suppressed(windows=[{"from": "00:00", "to": "00:20", **more}])


SUPPRESSION = {
    "when.variable": [
        suppressed({"variable": "moisture", "above": 1}),
        suppressed({"variable": "temperature", "above": 300}),
    ],
    "when.equals": [
        suppressed({"variable": "moisture", "equals": 3}),
        suppressed({"variable": "moisture", "equals": 4}),
    ],
    "when.above": [
        suppressed({"variable": "moisture", "above": 1}),
        suppressed({"variable": "moisture", "above": 9}),
    ],
    "when.below": [
        suppressed({"variable": "moisture", "below": 4}),
        suppressed({"variable": "moisture", "below": 1}),
    ],
    "when.for": [
        suppressed({"variable": "moisture", "below": 4}),
        suppressed({"variable": "moisture", "below": 4, "for": "20m"}),
    ],
    "when.stale_after": [
        suppressed({"variable": "moisture", "above": 1, "stale_after": t}) for t in ("30m", "1s")
    ],
    "when.event": [suppressed(STOP), {"above": 203}],
    "when.recovery": [suppressed(STOP), suppressed({**STOP, "recovery": "10h"})],
    "windows.days": [window(), window(days=["tue"])],
    "windows.from": [window(), window(**{"from": "00:15"})],
    "windows.to": [window(), window(to="00:12")],
    "timezone": [
        window(),
        suppressed(windows=[{"from": "00:00", "to": "00:20"}], timezone="Asia/Tokyo"),
    ],
    "still_notify": [suppressed(STOP), suppressed(STOP, still_notify=["medium"])],
}
MOIST = {"variable": "moisture", "above": 4.5}
THRESHOLD = {
    "name": [{}, {"name": "hotter"}],
    "title": [{}, {"title": "Oven too hot"}],
    "assets": [{}, {"assets": ["oven-*"]}],
    "state": [{}, {"state": "draft"}],
    "severity": [{}, {"severity": "critical"}],
    "guidance.cause": [{}, {"guidance": {"cause": "burner"}}],
    "guidance.consequence": [{}, {"guidance": {"consequence": "dark biscuits"}}],
    "guidance.action": [{}, {"guidance": {"action": "turn it down"}}],
    "schedule.every": [{}, {"schedule": {"every": "5m"}}],
    "notify.channels": [{}, {"notify": {"channels": ["pager"]}}],
    "notify.resolved": [{}, {"notify": {"resolved": False}}],
    **{f"suppression.{k}": pair for k, pair in SUPPRESSION.items()},
    "variable": [{}, {"variable": "moisture", "above": 4}],
    "above": [{}, {"above": 212}],
    "below": [{}, {"below": 190}],
    "clear_above_at": [{}, {"clear_above_at": 200}],
    "clear_below_at": [{"below": 190}, {"below": 190, "clear_below_at": 200}],
    "above.attribute": [{}, {"above": attribute("high")}],
    "below.attribute": [{}, {"below": attribute("low")}],
    "clear_above_at.attribute": [{}, {"clear_above_at": attribute("low")}],
    "clear_below_at.attribute": [{"below": 190},
    {"below": 190, "clear_below_at": attribute("mid")}],
    "equals": [{**NO_LIMIT, "equals": 220}, {**NO_LIMIT, "equals": 180}],
    "equals.attribute": [{**NO_LIMIT, "equals": 220}, {**NO_LIMIT, "equals": attribute("low")}],
    **{f"inside.{k}": [{**NO_LIMIT, "inside": band} for band in pair] for k,
    pair in BAND_PROOFS.items()},
    **{f"outside.{k}": [{**NO_LIMIT, "outside": band} for band in pair] for k,
    pair in BAND_PROOFS.items()},
    "clear_inside.low": [clear_inside(), clear_inside(low=200)],
    "clear_inside.low.attribute": [clear_inside(), clear_inside(low=attribute("mid"))],
    "clear_inside.high": [clear_inside(), clear_inside(high=212)],
    "clear_inside.high.attribute": [clear_inside(), clear_inside(high=attribute("mid"))],
    "clear_outside.low": [clear_outside(220, 219, 221), clear_outside(220, 200, 221)],
    "clear_outside.low.attribute": [clear_outside(220, 219, 221),
    clear_outside(220, attribute("low"), 221)],
    "clear_outside.high": [clear_outside(196, 195, 197), clear_outside(196, 195, 210)],
    "clear_outside.high.attribute": [clear_outside(196, 195, 197),
    clear_outside(196, 195, attribute("high"))],
    **{f"levels.{s}.{k}": [{**NO_LIMIT, "levels": {s: level}} for level in pair]
       for s in SEVERITIES for k, pair in LEVEL_PROOFS.items()},
    "rate_per": [{"above": 15, "rate_per": "1m"}, {"above": 15, "rate_per": "2m"}],
    "counter": [{"above": 25, "rate_per": "3m"}, {"above": 25, "rate_per": "3m", "counter": True}],
    "count_within": [{"above": 2, "count_within": "8m"}, {"above": 2, "count_within": "20m"}],
    "event": [{"above": 0, "count_within": "20m"},
    {"above": 0, "count_within": "20m", "event": "stop"}],
    "at_least.readings": [{"at_least": {"readings": 2, "of": 5}},
    {"at_least": {"readings": 4, "of": 5}}],
    "at_least.of": [{"at_least": {"readings": 2, "of": 2}}, {"at_least": {"readings": 2, "of": 7}}],
    "frozen_after": [{"for": "6m"}, {"for": "6m", "frozen_after": "6m30s", "no_data": "alert"}],
    "no_data": [{"above": 205}, {"above": 205, "no_data": "alert"}],
    "for": [{}, {"for": "3m"}],
    "clear_for": [{}, {"clear_for": "6m"}],
    "stale_after": [{"above": 204, "for": "13m"},
    {"above": 204, "for": "13m", "stale_after": "2m"}],
    "allowed_lateness": [{}, {"allowed_lateness": "0s"}],
    "problem.variable": [{"problem": MOIST},
    {"problem": {"variable": "temperature", "above": 4.5}}],
    "problem.above": [{"problem": MOIST}, {"problem": {**MOIST, "above": 6}}],
    "problem.below": [{"problem": MOIST}, {"problem": {**MOIST, "above": 6, "below": 3.5}}],
    "problem.equals": [{"problem": MOIST}, {"problem": {"variable": "moisture", "equals": 2}}],
    "problem.for": [{"problem": MOIST}, {"problem": {**MOIST, "for": "40m"}}],
    "problem.event": [{"problem": MOIST}, {"problem": {"event": "stop"}}],
    "horizon": [{"problem": MOIST}, {"problem": MOIST, "horizon": "5m"}],
    "gap": [{"problem": MOIST}, {"problem": MOIST, "gap": "20m"}],
}  # fmt: skip
OF_SEVERAL = dict.fromkeys(
    (f"problem.{field}" for field in leaves(Problem) if field.startswith(("any.", "all."))),
    "each does what it does in a threshold: tests/detection/test_problems.py",
)
ELSEWHERE = {
    **OF_SEVERAL,
    "kind": "it chooses the model",
    "rolls_over_at": "it takes a counter near its end: tests/detection/test_threshold.py",
    **dict.fromkeys(
        (field for field in leaves(ThresholdDefinition) if field.startswith(("any.", "all."))),
        "each does what it does alone: tests/detection/test_conditions.py",
    ),
    **dict.fromkeys(
        (
            field
            for field in leaves(ThresholdDefinition)
            if ".learned." in field and not field.startswith(("any.", "all."))
        ),
        "they take an estimate: tests/kinds/threshold/test_learned_limit_fields.py",
    ),
    "blocks_production": "tests/usecases/episodes/test_production_blocks.py",
    "promotion.mode": "it takes two estimates: tests/kinds/threshold/test_learned_limit_fields.py",
    "suppression.while.definition": "it takes two definitions: tests/scenarios/test_suppression.py",
    "problem.recovery": "a matter of learning: see the classifier's",
    **dict.fromkeys(
        ("problem.clear", "problem.clear.difference", "problem.merge_within"),
        "it ends problems: see the classifier's, and tests/detection/test_problems.py",
    ),
    "problem.predict": "a matter of models: see the classifier's",
    "schedule.report": "see the classifier's",
    "schedule.report_recipients": "see the classifier's",
    "schedule.retrain": "see the classifier's",
    **dict.fromkeys(
        (f"costs.{field}" for field in leaves(Costs)),
        "sums of a report: see its test_month and test_money",
    ),
    "schedule.timezone": "see the classifier's",
    "owner": "its DAGs are shared; shown for classifiers",
    "tags": "its DAGs are shared; shown for classifiers",
}
PROOFS = {field: (day, *changes) for field, changes in THRESHOLD.items()}
