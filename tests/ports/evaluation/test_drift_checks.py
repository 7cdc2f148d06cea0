"""Port `DriftChecks`."""

from dataclasses import replace

from alerting.learning.metrics.drift_findings import (
    MOST_DISMISSALS,
    DayLevel,
    DefinitionDrift,
    Dismissal,
    DriftDoubt,
    DriftFinding,
    MovedVariable,
)
from alerting.learning.metrics.normal_days import FEW_DAYS
from tests.builders import at

MOVED = MovedVariable("temperature", "relation", 203.0, 200.0, 1.5, slowly=False)
FOUND = DriftFinding(
    "oven-1", at(0), "sensor", (MOVED,), ("recipe=B",), (DayLevel(at(-10), 200.0),)
)
CHECK = DefinitionDrift(
    "too-moist", at(10), 3, at(-90), at(-20), (FOUND,), (DriftDoubt("oven-2", FEW_DAYS),)
)
KNOWN = Dismissal("oven-1", ("temperature",), at(5000), "ada", "sensor is ordered", at(20))


def test_a_check_replaces_the_one_before(stores):
    assert stores.drift.get("too-moist") is None
    stores.drift.store_check(CHECK)
    assert stores.drift.get("too-moist") == CHECK
    stores.drift.store_check(replace(CHECK, as_of=at(30), findings=()))
    stores.drift.store_check(replace(CHECK, definition="too-dry"))
    assert [one.definition for one in stores.drift.all_checks()] == ["too-dry", "too-moist"]
    assert stores.drift.get("too-moist").findings == ()


def test_dismissals_of_people_stay_through_the_next_check(stores):
    assert not stores.drift.add_dismissal("too-moist", KNOWN)
    stores.drift.store_check(CHECK)
    assert stores.drift.add_dismissal("too-moist", KNOWN)
    stores.drift.store_check(replace(CHECK, as_of=at(30)))
    check = stores.drift.get("too-moist")
    assert check.dismissals == (KNOWN,)
    assert check.not_dismissed(at(40)) == ()
    assert check.not_dismissed(at(5000)) == (FOUND,)


def test_only_the_newest_dismissals_are_stored(stores):
    stores.drift.store_check(CHECK)
    for minute in range(MOST_DISMISSALS + 2):
        stores.drift.add_dismissal("too-moist", replace(KNOWN, at=at(minute)))
    dismissals = stores.drift.get("too-moist").dismissals
    assert (len(dismissals), dismissals[0].at) == (MOST_DISMISSALS, at(2))


def test_checks_of_definitions_out_of_service_are_deleted(stores):
    stores.drift.store_check(CHECK)
    stores.drift.store_check(replace(CHECK, definition="too-dry"))
    stores.drift.keep_only(["too-dry"])
    assert [one.definition for one in stores.drift.all_checks()] == ["too-dry"]
