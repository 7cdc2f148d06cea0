"""Every field of every kind changes some outcome: a field that nothing reads fails here."""

import pytest

from alerting.kinds.registry import definition_types
from tests.helpers.fields import leaves
from tests.helpers.kind_fields import anomaly, classifier, control_chart, forecast, threshold

pytestmark = pytest.mark.models
KINDS = {
    "anomaly": anomaly,
    "classifier": classifier,
    "control_chart": control_chart,
    "forecast": forecast,
    "threshold": threshold,
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_field_of_a_kind_changes_an_outcome(kind):
    proofs = KINDS[kind].PROOFS.items()
    same = [field for field, (found, one, other) in proofs if found(**one) == found(**other)]
    assert same == []


def test_no_field_of_a_kind_is_without_a_proof():
    for kind, model in definition_types().items():
        fields = {*leaves(model)}
        unproved = fields - {*KINDS[kind].PROOFS, *KINDS[kind].ELSEWHERE}
        assert (kind, unproved, {*KINDS[kind].PROOFS} - fields) == (kind, set(), set())
