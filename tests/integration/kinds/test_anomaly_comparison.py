"""When a new detector of anomalies may replace the one in service without a person."""

import pytest

from alerting.kinds.anomaly.comparison import Evidence, objection

GOOD = Evidence(false_alarms=1, weeks=1.0, allowed=1.0, found=2, problems=2, synthetic=50, injected=60)


def test_better_or_equal_evidence_raises_no_objection():
    assert objection(GOOD, None) == objection(GOOD, GOOD) == ""


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (GOOD._replace(weeks=0.0), "no unseen normal time"),
        (GOOD._replace(false_alarms=5), "too many"),
        (GOOD._replace(found=1), "fewer of the problems"),
        (GOOD._replace(injected=0, synthetic=0), "no unseen time for synthetic anomalies"),
        (GOOD._replace(synthetic=46), "fewer synthetic anomalies"),
    ],
)
def test_a_person_decides_where_evidence_is_missing_or_worse(new, reason):
    assert reason in objection(new, GOOD)


def test_one_synthetic_anomaly_in_twenty_fewer_is_no_objection():
    assert objection(GOOD._replace(synthetic=48), GOOD) == ""
