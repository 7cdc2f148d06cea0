"""Details of an episode on the terminal."""

from dataclasses import replace

import pytest

from alerting.cli.episodes import _show_episode
from alerting.episodes.advice import with_present_advice
from alerting.episodes.episode import RecommendationResult
from tests.builders import at
from tests.helpers.episodes import episode

pytestmark = pytest.mark.fast

ADVICE = RecommendationResult((), 0.8, 0.8, helps=False, message="Slow the belt")


@pytest.mark.parametrize(
    ("at_raise", "shown"),
    [
        (ADVICE, ["what-if (2026-01-05 00:00 UTC): Slow the belt"]),
        (None, ["what-if (2026-01-05 00:01 UTC): Slow the belt"]),
    ],
)
def test_present_advice_is_printed_where_it_is_other_than_that_of_the_raise(
    capsys, at_raise, shown
):
    raised = replace(episode(), raised_at=at(0), recommendation=at_raise, present=None)
    _show_episode(
        with_present_advice(raised, at(1), 0.8, 0.5, 1, (), ADVICE), [], [], as_json=False
    )
    assert [
        line.strip() for line in capsys.readouterr().out.splitlines() if "Slow" in line
    ] == shown
