from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.reporting.definition.data_quality import data_metrics
from tests.report_material import episode, good_material

pytestmark = pytest.mark.fast


def test_late_evaluations_are_those_known_after_two_of_them_and_the_latency():
    # the definition is evaluated every minute, and readings may take ten seconds
    prompt = episode(10, late=timedelta(minutes=2))
    slow = episode(20, late=timedelta(minutes=7))
    found_later = replace(episode(30, late=timedelta(hours=5)), late_data_status="found_late")
    past = episode(40, late=timedelta(days=3), backfilled=True)
    found = data_metrics(replace(good_material(), episodes=[prompt, slow, found_later, past]))
    assert (found.detection_s, found.slowest_s, found.late, found.found_late) == (
        270.0,
        420.0,
        1,
        1,
    )
    none = data_metrics(replace(good_material(), episodes=[]))
    assert (none.detection_s, none.slowest_s, none.late) == (None, None, 0)
