"""What has no evaluation because its problem has started: the open alarm says so, and it is no gap
beside it."""

import pytest

from alerting.definitions.wording.language import language
from alerting.usecases.operators.known_plant import read_plant
from alerting.usecases.operators.present_state import NowFilters, read_now
from tests.helpers.coming_true import NORMAL, Line, last_humidity, warned  # noqa: F401 - fixture

pytestmark = pytest.mark.usefixtures("last_humidity")


def seen_now(line):
    plant = read_plant(line.platform)
    return read_now(line.platform, plant, NowFilters(), "otto")


def test_a_problem_that_an_open_alarm_shows_is_no_gap():
    line = warned(Line())
    line.run(*range(10, 61, 10))
    [alarm] = line.episodes
    assert (alarm.phase, alarm.condition) == ("happening", "open")
    found = seen_now(line)
    assert [cause.first.id for cause in found.happening] == [alarm.id]
    assert found.gaps == ()
    assert "not evaluated" not in {tile.state for part in found.parts for tile in part.tiles}


def test_a_problem_without_an_alarm_is_a_gap_in_the_language_of_its_reader():
    line = Line()
    line.feed(range(1, 90), humidity=NORMAL)
    line.feed(range(25, 70), moisture=5.5)
    line.run(*range(10, 61, 10))
    assert line.episodes == []
    [gap] = seen_now(line).gaps
    assert gap.reason == "the problem has already started"
    assert language("de").translate(gap.reason) == "das Problem ist schon eingetreten"
