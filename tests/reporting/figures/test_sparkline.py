import numpy as np
import pytest

from alerting.definitions.fields.problem import Problem
from alerting.definitions.wording.language import language
from alerting.detection.carried import ReadingInForce
from alerting.detection.messages.condition_messages import limit_message
from alerting.detection.messages.problem_messages import current_value_message
from alerting.reporting.figures.episode_chart import ChartLevel
from alerting.reporting.figures.sparkline import sparkline
from tests.builders import at, oven, threshold

pytestmark = pytest.mark.fast
LIMIT = (ChartLevel(4.5, "limit"), ChartLevel(0.5, "limit"))


def line(values, levels=LIMIT):
    at = np.arange(len(values), dtype=np.int64) * 60_000
    return sparkline(at, np.array(values, np.float64), levels, "%")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.linspace(3, 3.9, 40), "3.9 %, rising"),
        (np.linspace(3.9, 3, 40), "3 %, falling"),
        (3 + 0.1 * (np.arange(40) % 2), "3.1 %, steady"),
        ([3.0] * 40, "3 %, steady"),
        ([3.0] * 39 + [3.9], "3.9 %, rising"),
        ([3.9, 4.0] * 19 + [3.0, 2.9], "2.9 %, falling"),
        ([3.0] * 20 + [3.9] + [3.0] * 19, "3 %, steady"),
        ([3.0, 3.9], "3.9 %"),
        ([4.0] * 49 + [3.0] * 11, "3 %, steady"),
        ([4.0] * 53 + [3.0] * 7, "3 %, falling"),
        ([3.0] * 45 + [4.0] * 15, "4 %, steady"),
        ([*np.linspace(3, 4, 45), *[4.0] * 8, *np.linspace(4, 3.7, 7)], "3.7 %, falling"),
        ([*np.linspace(3, 4, 30), *np.linspace(4, 3, 30)], "3 %, falling"),
    ],
)
def test_the_present_value_is_told_with_its_course(values, said):
    assert line(values).describe() == said


def test_the_limit_is_the_one_nearest_to_the_present_value():
    assert line([3.0, 4.0]).limit == 4.5
    assert line([3.0, 1.0]).limit == 0.5
    assert line([3.0, 4.0]).describe_limit(language("de")) == "Grenze 4,5\u00a0%"
    assert line([3.0, 4.0], ()).describe_limit() is None


def test_a_limit_is_not_rounded_as_values_are_so_that_it_is_the_one_that_reasons_name():
    limit = ChartLevel(216.5, "limit", is_limit=True)
    assert line([217.0, 218.7], (limit,)).describe_limit() == "limit 216.5 %"


@pytest.mark.parametrize(
    ("value", "shown"), [(218.739, "219 %"), (216.3, "216.3 %"), (217.04, "217 %")]
)
def test_the_present_value_and_the_reason_have_the_same_digits_which_tell_it_from_the_limit(
    value, shown
):
    limit = ChartLevel(216, "limit", is_limit=True)
    assert line([217.0, value], (limit,)).describe() == shown
    alarm = threshold(variable="moisture", above=216)
    reading = ReadingInForce(at(0), value, value, None)
    said, _ = limit_message(alarm, oven(), reading, None)
    assert said == f"moisture is {shown}, above 216 %"
    problem = Problem(variable="moisture", above=216)
    assert f"oisture is {shown}, limit" in current_value_message(problem, oven(), value, at(0))


def test_line_and_limit_lie_within_the_picture():
    made = line(np.linspace(3, 6, 500))
    heights = [float(point.split()[1]) for point in made.path[1:].split("L")]
    assert 0 <= min(heights) <= max(heights) <= 100
    assert 0 <= made.limit_y <= 100
    assert made.path.count("L") <= 120


def test_without_a_value_there_is_no_line():
    assert line([]) is None
    assert line([float("nan")] * 9) is None
