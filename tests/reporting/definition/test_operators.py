from dataclasses import replace

import pytest

from alerting.episodes.episode import PresentAdvice, RecommendationResult
from alerting.reporting.definition.drivers import drivers
from alerting.reporting.definition.operators import frequent_actions, verdict_metrics
from tests.report_material import episode

pytestmark = pytest.mark.fast

ADVICE = RecommendationResult((), 0.8, 0.2, helps=True, message="lower zone 2")


def acted(hour, action, outcome, **changes):
    given = episode(hour, outcome=outcome, said=[(None, True, "anna")])
    feedback = tuple(replace(f, action=action, **changes) for f in given.feedback)
    return replace(given, feedback=feedback, recommendation=ADVICE)


def test_an_action_counts_once_an_episode_whatever_its_case_and_spaces():
    found = frequent_actions(
        [
            acted(1, "Lowered  zone 2", "no"),
            acted(2, "lowered zone 2", "in_time"),
            acted(3, "called", None),
        ]
    )
    assert [(a.action, a.times, a.helped, a.came) for a in found] == [
        ("Lowered zone 2", 2, 1, 1),
        ("called", 1, 0, 0),
    ]


def test_recommendations_are_compared_by_whether_they_were_followed():
    followed = [acted(h, "x", "no", recommendation_taken="yes") for h in (1, 2, 3)]
    came = acted(4, "x", "in_time", recommendation_taken="partly")
    left = acted(5, None, "in_time", recommendation_taken="no")
    advice = verdict_metrics([*followed, came, left, acted(6, "x", "no")]).advice
    assert (advice.given, advice.taken) == (6, {"no": 1, "partly": 1, "yes": 3})
    assert advice.prevented.basis == "3 of 4 followed recommendations with an outcome"
    assert advice.not_followed.basis == "0 of 1 recommendation without a change, with an outcome"
    assert advice.took_effect.value is None


def test_advice_took_effect_where_the_risk_came_down_to_under_the_threshold():
    def scored(hour, risk):
        given = acted(hour, "x", "no", recommendation_taken="yes")
        present = PresentAdvice(given.raised_at, given.raised_at, risk, 0.5, 2, (), ADVICE)
        return replace(given, present=present)

    assert verdict_metrics([scored(1, 0.4), scored(2, 0.6)]).advice.took_effect.value == 0.5


def test_drivers_are_mean_sizes_over_the_episodes_with_reasons():
    one = episode(1)
    other = episode(2)
    other = replace(
        other, contributions=(replace(other.contributions[0], variable="steam", share=-0.1),)
    )
    earlier = replace(one, contributions=(replace(one.contributions[0], share=0.2),))
    found = drivers([one, other, replace(one, contributions=())], [earlier])
    assert [(d.variable, d.share, d.episodes, d.before) for d in found] == [
        ("zone_2", pytest.approx(0.155), 1, 0.2),
        ("steam", pytest.approx(0.05), 1, 0.0),
    ]
    assert drivers([one], None)[0].before is None
