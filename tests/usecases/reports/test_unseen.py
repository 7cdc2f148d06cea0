"""Reports on the test periods of trainings."""

from alerting.ports import PastEvaluation
from alerting.usecases.definitions.sync import apply
from alerting.usecases.reports.unseen import make_unseen_reports
from tests.builders import at, oven, too_moist
from tests.in_memory_platform import in_memory_platform

DAY = 24 * 60


def test_the_test_period_that_the_newest_model_evaluated_is_reported_once_and_marked():
    platform = in_memory_platform()
    platform.assets.store_assets([oven()])
    apply(platform, [too_moist()], "engineer", at(9 * DAY), "test")
    said = []
    assert make_unseen_reports(platform, at(10 * DAY), said.append) == 0
    for version, day in ((1, 1), (2, 3), (2, 4)):
        past = PastEvaluation(
            "too-moist", "oven-1", at(day * DAY), at((day + 1) * DAY), 1, version, at(9 * DAY + day)
        )
        platform.past_evaluations.add(past)
    assert make_unseen_reports(platform, at(10 * DAY), said.append) == 1
    (head,) = platform.reports.for_definition("too-moist")
    assert (head.start, head.end, head.unseen, head.period) == (
        at(3 * DAY),
        at(5 * DAY),
        True,
        None,
    )
    assert "Test period of the training." in platform.reports.page(head.id)
    assert said == [f"report on too-moist, test period of its training: /reports/{head.id}"]
    assert make_unseen_reports(platform, at(11 * DAY), said.append) == 0
