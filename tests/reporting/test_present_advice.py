"""Pages and messages of an open episode show its newest reasons; what they say of changes is what
the readings show."""

from dataclasses import replace

from alerting.console.api.views import EpisodeSummary
from alerting.console.model_values import newest_importance
from alerting.definitions.wording.language import ENGLISH
from alerting.episodes.episode import Contribution, PresentAdvice, RecommendationResult
from alerting.ports import DecisionRecord
from alerting.reporting.sentences import risk_since_raise, step_with_time
from alerting.usecases.notification.message_texts import message
from tests.builders import at
from tests.helpers.episodes import full_episode
from tests.helpers.notifications import notice

CALM = RecommendationResult((), 0.2, 0.2, False, "Keep an eye on it")
NOW = PresentAdvice(
    at(9), at(9), 0.2, 0.5, 4, (Contribution("humidity", 0.1, 70.0, 60.0, ""),), CALM
)
OPEN = replace(full_episode(), present=NOW)


def decision(version, measured=None, promoted=True):
    evidence = (
        {} if measured is None else {"importance": {"rows": 9, "variables": {"belt": measured}}}
    )
    return DecisionRecord(
        "d", at(version), 1, version, None, promoted, False, "promote", "", evidence, "run", "ann"
    )


def test_a_change_of_other_set_points_is_not_said_to_have_an_effect():
    assert risk_since_raise(OPEN, None).startswith("Since the alarm came: risk")
    assert risk_since_raise(OPEN, "other") == risk_since_raise(OPEN, None)
    assert risk_since_raise(OPEN, "partly").startswith("The change you made has taken effect: risk")


def test_reasons_and_advice_for_programs_are_of_the_same_instant():
    sent = message(OPEN, notice("n", 9, transition="repeated", episode=OPEN.id), now=at(9)).payload
    assert [c["variable"] for c in sent["contributions"]] == ["humidity"]
    assert sent["recommendation"]["risk_before"] == 0.2


def test_a_mail_says_why_and_of_which_time_the_reasons_are():
    first = message(full_episode(), notice("n", 1)).text
    assert "\nWhy: 12 °C above its usual.\n" in first
    assert "\n(This is what the model used, not a proven cause.)\n" in first
    humid = (Contribution("humidity", 0.1, 70.0, 60.0, "10 % above its usual"),)
    open_now = replace(OPEN, present=replace(NOW, contributions=humid))
    later = message(
        open_now, notice("n", 9, transition="escalated", episode=OPEN.id), now=at(9)
    ).text
    assert "\nWhy (Mon 5 Jan 00:09): 10 % above its usual.\n" in later
    assert "12 °C" not in later


def test_advice_of_a_higher_risk_comes_behind_the_risk_that_is_low_now():
    carried = replace(NOW, recommendation=OPEN.recommendation, advised_at=OPEN.raised_at)
    low = replace(OPEN, present=carried)
    known = "The risk is 20 %, below the alarm at 50 %. Keep an eye on it until the predicted time"
    before = f"Before (advice of {ENGLISH.show(OPEN.raised_at)}): lower it"
    assert step_with_time(low).startswith(known)
    assert step_with_time(low).endswith(before)
    for high in (replace(carried, risk=0.6), replace(carried, advised_at=None)):
        assert known not in step_with_time(replace(OPEN, present=high))
    assert known not in step_with_time(replace(low, happening_at=at(9)))


def test_programs_read_the_newest_advice_of_an_open_episode_and_of_an_ended_one_that_of_its_raise():
    found = [
        EpisodeSummary.from_domain(one, ENGLISH).advice
        for one in (OPEN, replace(OPEN, condition="closed", closed_at=at(9)))
    ]
    assert found == ["Keep an eye on it", "lower it"]


def test_the_importance_shown_is_of_the_version_in_service():
    first = decision(1, 0.3)
    rolled_back = replace(decision(3), challenger_version=1)
    for newest in ([decision(2, 0.2), rolled_back], [decision(2)]):
        assert newest_importance([first, *newest]).challenger_version == 1
    assert newest_importance([decision(1, 0.3, promoted=False)]) is None
