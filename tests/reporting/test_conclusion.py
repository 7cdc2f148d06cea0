from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.reporting.definition.conclusion import conclude
from alerting.reporting.definition.metrics import compute_metrics
from alerting.reporting.page.page import draw, render_page
from alerting.reporting.page.sentences import head_sentences
from tests.report_material import (
    END,
    GOOD_PROBLEMS,
    MODELS,
    START,
    THRESHOLD,
    episode,
    good_material,
    problems,
    threshold_material,
)


def judged(**changes):
    return conclude(compute_metrics(replace(good_material(), **changes)))


def test_an_alert_that_meets_every_demand_is_trusted_and_its_sentence_has_the_numbers():
    judgement = judged()
    assert judgement.trust == "yes"
    assert judgement.sentence == (
        "Trust it: 7 of 9 problems announced in time, typically 1 h 59 min ahead; "
        "8 of 10 alarms with an outcome were right; 0.5 false alarms a week."
    )


def test_an_alert_that_misses_a_demand_is_used_with_care():
    wrong = [episode(h, outcome="no") for h in range(5, 500, 45)]
    assert judged(episodes=[*good_material().episodes, *wrong]).trust == "with_care"


def test_an_alert_that_surely_misses_a_demand_is_not_relied_on():
    wrong = [episode(h, outcome="no") for h in range(5, 640, 11)]
    judgement = judged(episodes=[*good_material().episodes, *wrong])
    assert judgement.trust == "no"
    assert any("where 3 a week and asset are allowed" in action for action in judgement.actions)


def test_a_budget_is_said_for_all_assets_together():
    material = good_material()
    [(_, interval)] = material.evaluated.items()
    metrics = compute_metrics(
        replace(material, evaluated={f"oven-{i}": interval for i in range(1, 6)})
    )
    judgement = conclude(metrics)
    assert "at most 15 false alarms a week on all 5 assets together (3 on each)" in judgement.rule
    weekly = metrics.outcomes["false_alarm"] / ((END - START) / timedelta(weeks=1))
    assert (
        f"{weekly:.3g} false alarms a week on all 5 assets together ({weekly / 5:.3g} on each)"
        in judgement.sentence
    )


def test_too_few_problems_cannot_tell():
    judgement = judged(problems=problems(*GOOD_PROBLEMS[:3]), episodes=good_material().episodes[:3])
    assert judgement.trust == "cannot_tell"
    assert (
        judgement.actions[0] == "Choose a longer period: 3 problems are too few for a conclusion."
    )


def test_one_and_no_problem_are_said_in_their_own_words():
    one = judged(problems=problems(GOOD_PROBLEMS[0]), episodes=good_material().episodes[:1])
    assert one.actions[0] == "Choose a longer period: 1 problem is too few for a conclusion."
    none = judged(problems=problems(), episodes=[])
    assert (
        none.actions[0]
        == "Choose a longer period: no problem occurred, which is too little for a conclusion."
    )


def test_the_first_sentences_state_only_what_is_known_of_false_alarms():
    def said(*episodes):
        return head_sentences(compute_metrics(replace(good_material(), episodes=list(episodes))))[1]

    waiting = episode(30.0, outcome=None)
    hit = good_material().episodes[0]
    assert said(waiting) == "1 alarm was raised; it has no outcome yet."
    assert (
        said(waiting, episode(60.0, outcome=None))
        == "2 alarms were raised; none has an outcome yet."
    )
    assert said(hit) == "No false alarm was found among 1 alarm with an outcome."
    assert said(hit, waiting) == (
        "No false alarm was found among 1 alarm with an outcome. 1 of 2 alarms has no outcome yet."
    )


def test_nothing_judged_says_what_to_look_at():
    judgement = judged(episodes=[], problems=problems(), evaluated={})
    assert judgement.sentence == (
        "Too early for a conclusion: the alert was not evaluated in this period; no alarm has "
        "an outcome."
    )
    assert judgement.actions == (
        "No instant was evaluated: check that the definition is active, readings arrive, and a "
        "model is in service.",
    )


def test_missed_problems_and_late_warnings_are_named():
    late = [episode(h - 0.2, outcome="too_late") for h in GOOD_PROBLEMS[7:]]
    actions = judged(episodes=[*good_material().episodes, *late]).actions
    assert (
        "2 of 9 problems came unannounced: look for common features in the list below." in actions
    )
    assert (
        "2 warnings came too late to act: lengthen the horizon, or evaluate more often." in actions
    )


def test_a_model_no_better_than_the_last_value_is_named():
    scores = good_material().scores
    actions = judged(scores=scores.assign(persistence=scores["score"])).actions
    assert any("no better than the last known value" in a for a in actions)


def test_a_score_that_is_no_probability_is_named():
    scores = good_material().scores
    actions = judged(scores=scores.assign(score=0.5 + scores["score"] / 2)).actions
    assert any("do not read the score as a risk" in a for a in actions)


def test_a_provisional_champion_is_named():
    assert any("version 1 is provisional" in a for a in judged(models=MODELS[:1]).actions)


def test_silence_of_operators_and_their_contradictions_are_named():
    silent = [replace(e, feedback=()) for e in good_material().episodes]
    assert any("ask for verdicts" in a for a in judged(episodes=silent).actions)
    against = [
        episode(h - 2, outcome="in_time", said=[("false_alarm", False, "anna")])
        for h in GOOD_PROBLEMS
    ]
    assert any(
        "Operators contradict the data (9 of 9" in a for a in judged(episodes=against).actions
    )


def test_a_threshold_without_a_problem_is_told_to_get_one():
    judgement = conclude(compute_metrics(threshold_material([episode(3, definition=THRESHOLD)])))
    assert judgement.trust == "cannot_tell"
    assert judgement.actions[0].startswith("Give the definition a problem")
    assert "problems" not in judgement.rule


@pytest.mark.parametrize(
    "material",
    [
        threshold_material(),
        replace(good_material(), episodes=[], problems=problems(), evaluated={}),
        replace(
            good_material(),
            problems=problems(*GOOD_PROBLEMS[:3]),
            episodes=good_material().episodes[:3],
        ),
        threshold_material(
            [
                episode(h, definition=THRESHOLD, said=[("false_alarm", False, "anna")])
                for h in range(10)
            ]
        ),
        good_material(),
    ],
    ids=["nothing raised", "nothing judged", "too few problems", "all false", "good"],
)
def test_a_page_says_that_every_demand_is_met_exactly_where_the_alert_is_trusted(material):
    figures = compute_metrics(material)
    judgement = conclude(figures)
    page = render_page(figures, judgement, draw(figures, material))
    assert judgement.trust == "yes" or judgement.actions
    assert not ("Too early for a conclusion" in page and "every demand is met" in page)
    assert ("every demand is met" in page) == (judgement.trust == "yes" and not judgement.actions)


def test_an_alert_without_any_episode_says_what_cannot_be_checked():
    judgement = conclude(compute_metrics(threshold_material()))
    assert judgement.sentence.startswith("Too early for a conclusion: no alarm has an outcome")
    assert judgement.actions == (
        "Wait, or choose a longer period. It cannot be checked yet: at least 50 % of the alarms "
        "with an outcome right "
        "(no alarms with an outcome).",
    )


def test_alerts_of_which_most_are_wrong_are_named_with_what_to_try():
    wrong = [episode(60.0 + 30 * i, outcome="no") for i in range(9)]
    actions = judged(episodes=[*good_material().episodes[:3], *wrong]).actions
    assert any(
        action.startswith("Only 3 of 12 alarms with an outcome were right: try other limits")
        for action in actions
    )
