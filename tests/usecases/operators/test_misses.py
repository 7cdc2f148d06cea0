"""Reported misses: what is accepted, what is refused, and what they change."""

from datetime import timedelta

import numpy as np
import pytest

from alerting.definitions.faults import NotFound, UserError
from alerting.learning.data.row_labels import LEFT_OUT, POSITIVE, collect_misses, relabel
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.operators.links_and_misses import report_miss
from alerting.usecases.operators.operate import Actor
from tests import small_models
from tests.builders import at, oven, too_hot
from tests.helpers.console.api import episode
from tests.helpers.stores import audit_entries
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models

ANN = Actor("ann", "operator")
MINUTE = 60_000


@pytest.fixture
def platform():
    made = in_memory_platform()
    made.assets.store_assets([oven(), oven().model_copy(update={"name": "oven-2"})])
    apply(made, [too_hot()], "engineer", at(0), "test")
    made.episodes.insert(episode(100))  # open for five minutes
    return made


def miss(platform, name="too-hot", asset="oven-1", minute=50.0, actor=ANN, now=600):
    return report_miss(platform, name, asset, at(minute), " smoke ", actor, at(now))


def test_a_miss_is_stored_once_and_audited(platform):
    told = miss(platform)
    assert (told.comment, told.actor, told.missed_at) == ("smoke", "ann", at(50))
    assert miss(platform, actor=Actor("bob", "operator"), now=700) == told
    assert platform.misses.for_interval() == [told]
    assert [
        (e["actor"], e["what"], e["subject"])
        for e in audit_entries(platform)
        if e["what"] == "miss reported"
    ] == [("ann", "miss reported", "too-hot on oven-1")]


def test_what_is_no_miss_is_refused_with_all_its_faults(platform):
    raised = episode(100).id[:8]
    for given, refusal in (
        ({"name": "too-hott"}, "there is no definition “too-hott”; near: too-hot"),
        (
            {"asset": "oven-2", "minute": 601},
            r"(?s)too-hot is not evaluated on “oven-2”; its assets: oven-1.*lies in the future",
        ),
        ({"minute": 103}, f"did raise an alert on oven-1 for that time: episode {raised}"),
        ({"actor": Actor("vera", "viewer")}, None),
    ):
        with pytest.raises((NotFound, UserError), match=refusal):
            miss(platform, **given)
    assert miss(platform, minute=106).missed_at == at(106)


def effects(missed, occurred=(), **use):
    """Rows every 10 minutes, horizon and gap of the small definition; effect of one miss on
    all-negative rows."""
    definition = small_models.definition(feedback=use, horizon="30m", gap="10m")
    told = report(missed)
    rows = np.arange(0, 20) * 10 * MINUTE
    first = rows + int(at(0).timestamp() * 1000)
    labels = collect_misses([told], definition, at(900))
    assert collect_misses([told], definition, told.at - timedelta(minutes=1)) == []
    seen = np.array([int(at(0).timestamp() * 1000) + one for one in occurred], np.int64)
    return relabel(definition, labels, first, np.ones(len(first), bool), seen)


def report(missed):
    platform = in_memory_platform()
    platform.assets.store_assets([oven()])
    apply(platform, [too_hot()], "engineer", at(0), "test")
    return miss(platform, minute=missed)


def test_rows_that_should_have_predicted_a_miss_are_left_out_or_positive_as_feedback_rule_says():
    left_out = effects(100)
    # 100 lies in (t + 10, t + 40]
    assert [i * 10 for i, e in enumerate(left_out.effect) if e == LEFT_OUT] == [
        60,
        70,
        80,
    ]
    assert set(left_out.effect) == {0, LEFT_OUT}
    positive = effects(100, confirmed="positive")
    assert [i * 10 for i, e in enumerate(positive.effect) if e == POSITIVE] == [60, 70, 80]


def test_where_the_data_show_the_problem_the_data_decide():
    assert set(effects(100, occurred=[105 * MINUTE]).effect) == {0}
