"""Each kind of fault of the platform is grave or quiet, and the banner says what is so."""

import ast
from pathlib import Path

import pytest

import alerting
from alerting.ports import PlatformAlert
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.health.open_faults import OpenFaults, keeps_alarms_off, open_faults
from alerting.usecases.health.platform_health import KINDS
from tests.builders import at, oven, too_hot
from tests.humid_line import humid_oven, learned_quickly
from tests.in_memory_platform import in_memory_platform

_GRAVE = {  # an alarm cannot come, or was not told
    "champion unreadable": ["too-hot"],
    "definition faulty": ["new"],
    "training failed": ["without-model"],
    "document faulty": ["routes/night", "sources/lab", "assets/oven-1"],
    "database away": ["MongoDB"],
    "channel failing": ["channel mail"],
    "channel unknown": ["route night"],
    "evaluation late": ["evaluate__1m"],
    "source stale": ["line-1", "source lab"],
    "source stopped": ["source lab"],
    "values lost": ["source lab"],
    "declarations refused": ["source lab"],
    "part stopped": ["console", "stream service"],
    "scheduler away": ["Airflow"],
    "schedule paused": ["evaluate__1m", "evaluate__*", "ingest__lab", "maintain"],
    "scheduled task failed": ["evaluate__1m", "evaluate__arrived", "ingest__lab", "maintain"],
}
_QUIET = {  # decisions, loads and work that wait: every alarm comes
    "definition faulty": ["in-force"],
    "training failed": ["in-force"],
    "document faulty": ["sinks/scada"],
    "approval waiting": ["too-hot"],
    "model miscalibrated": ["too-hot"],
    "inputs drifted": ["oven-1"],
    "alarm load": ["too-hot, revision 2"],
    "sink behind": ["sink scada"],
    "promotion refused": ["too-hot"],
    "disk filling": ["home"],
    "registry away": ["MLflow"],  # models serve from their cache
    "clock wrong": ["host", "evaluation"],
    "backup overdue": ["MongoDB"],
    "certificate ends": ["console"],
    "report failed": ["too-hot, 2026-W02"],
    "schedule paused": ["report", "retain", "start_due", "predict", "train__too-hot"],
    "scheduled task failed": ["report", "retain", "start_due"],
}
_REPORT = {"report": 0, "record_faults": 1, "PlatformFault": 0, "PlatformAlert": 0}
"""By the name of what raises a fault, the position of its kind."""


def kinds_raised():
    """Return the kinds that any call in the package raises."""
    kinds = {}
    names = set()
    for path in Path(alerting.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Assign(
                    [ast.Name(name)], ast.Call(ast.Name("template"), [ast.Constant(text)])
                ):
                    kinds[name, path] = text
                case ast.Call(ast.Name(called) | ast.Attribute(_, called), args) if (
                    called in _REPORT
                ):
                    kind = args[_REPORT[called]] if len(args) > _REPORT[called] else None
                    names |= {kind.id} if isinstance(kind, ast.Name) else set()
    return {text for (name, _), text in kinds.items() if name in names}


def alert(kind, subject="x", minute=0):
    return PlatformAlert(kind, subject, "why", at(minute))


def test_each_kind_that_is_raised_has_a_row():
    raised = {str(kind) for kind in KINDS} | {str(kind) for kind in kinds_raised()}
    assert len(raised) > 20
    assert raised <= _GRAVE.keys() | _QUIET.keys()


@pytest.mark.parametrize(
    ("kind", "subject", "off"),
    [
        (kind, subject, off)
        for table, off in ((_GRAVE, True), (_QUIET, False))
        for kind, subjects in table.items()
        for subject in subjects
    ],
)
def test_a_fault_is_grave_only_if_an_alarm_cannot_come_or_was_not_told(kind, subject, off):
    assert keeps_alarms_off(alert(kind, subject), {"in-force"}) == off


@pytest.mark.parametrize(
    ("kinds", "untold"),
    [
        ([("channel failing", "channel mail")], True),
        ([("channel unknown", "route night"), ("document faulty", "routes/night")], True),
        ([("channel failing", "channel mail"), ("evaluation late", "evaluate__1m")], False),
        ([("document faulty", "assets/oven-1")], False),
    ],
)
def test_alarms_are_not_said_to_be_off_when_only_messages_are_missing(kinds, untold):
    assert OpenFaults([alert(*pair) for pair in kinds], (), None).is_only_undelivered == untold


def test_a_failed_training_is_grave_without_a_model_and_a_faulty_document_without_a_revision():
    platform = in_memory_platform()
    platform.assets.store_assets([oven(), humid_oven()])
    apply(platform, [too_hot(), learned_quickly()], "ada", at(0), "test")
    for minute, (kind, subject) in enumerate(
        [
            ("definition faulty", too_hot()["name"]),
            ("definition faulty", "never-valid"),
            ("training failed", learned_quickly()["name"]),
            ("report failed", too_hot()["name"]),
        ]
    ):
        platform.platform_alerts.report(kind, subject, "why", at(minute))
    found = open_faults(platform)
    assert [a.subject for a in found.grave] == ["never-valid", learned_quickly()["name"]]
    assert [a.kind for a in found.quiet] == ["definition faulty", "report failed"]
    assert found.since == at(1)
