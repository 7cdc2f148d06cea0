"""The alarm budget gate: a definition that asks too much of a position is not put in service
unseen."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.asset_documents import Asset, AssetTree
from alerting.definitions.faults import UserError
from alerting.definitions.platform_limits import AlarmBudget
from alerting.operators.alarm_load import PositionLoad
from alerting.readings.history import History
from alerting.settings.environment import SettingsRefused, read_settings
from alerting.usecases.alarm_load.budget_gate import forecasts
from alerting.usecases.data_upkeep import maintain
from alerting.usecases.definitions import revisions_and_evaluation_plan
from alerting.usecases.document_kinds import DEFINITIONS, apply_together, plan_together
from alerting.usecases.evaluation.rounds import evaluate
from tests.builders import at, oven, too_hot, too_moist
from tests.frame_readings import OneByOne
from tests.helpers.episodes import episode
from tests.helpers.stores import audit_entries
from tests.in_memory_platform import Mailbox, in_memory_platform

DAY = 24 * 60
NOW = 7 * DAY


class Spikes(OneByOne):
    """Port `Readings` of assets that are too hot every other time, `every` so many minutes, for the
    last `days`."""

    def __init__(self, every, days):
        self.index = pd.date_range(
            at(NOW - days * DAY), at(NOW), freq=f"{every}min", name="ts", inclusive="left"
        ).as_unit("ms")
        minutes = (self.index - at(0)) // pd.Timedelta("1min")
        self.values = np.where((minutes // every) % 2, 230.0, 200.0)

    def load(self, request):
        inside = (self.index > request.start) & (self.index <= request.end)
        return History(
            request.asset,
            pd.DataFrame({"temperature": self.values[inside]}, index=self.index[inside]),
        )

    def newest_readings(self, until=None, assets=None):
        return {}

    def span(self, asset, until=None):
        return self.index[0].to_pydatetime(), self.index[-1].to_pydatetime()


def plant(mode="refuse", days=7, ovens=1, spikes_a_day=24, **budget):
    """Ovens of one position, each of which gets too hot so many times a day."""
    readings = Spikes(DAY // (2 * spikes_a_day), days)
    platform = in_memory_platform(Mailbox("mail"))
    platform = replace(platform, readings=readings, budget=AlarmBudget(mode=mode, **budget))
    platform.assets.store_assets([other(f"oven-{i + 1}", "baker") for i in range(ovens)])
    platform.clock.instant = at(NOW)
    return platform


def other(name, position):
    return oven().model_copy(update={"name": name, "position": position})


def document(**changes):
    return too_hot(**{"assets": ["oven-*"], "stale_after": "10h", **changes})


def foreseen(platform, *documents):
    return forecasts(
        platform, revisions_and_evaluation_plan.plan(platform, documents), platform.clock.now()
    )


def gated(platform, *documents, accepted=""):
    now = platform.clock.now()
    return DEFINITIONS.apply(platform, documents, "engineer", now, "test", accepted=accepted)


def load_of(platform, *documents):
    [forecast] = foreseen(platform, *documents)
    [load] = forecast.loads
    return forecast, load


# --- what is foreseen
# --------------------------------------------------------------------------------------------------


def live(platform):
    revisions_and_evaluation_plan.apply(
        platform, [document()], "engineer", at(0) - timedelta(minutes=1), "test"
    )
    evaluate(platform, None, at(NOW))
    return platform


def test_the_load_is_what_live_evaluation_would_have_raised():
    forecast, load = load_of(plant(), document())
    assert load.position == "baker"
    assert load.expected == pytest.approx(len(live(plant()).episodes.find()) / 7, rel=0.01)
    assert forecast.over == timedelta(days=7) - timedelta(minutes=30)


def test_all_assets_of_a_position_count_of_many_a_sample_is_judged_and_suppressed_times_do_not():
    night = {"windows": [{"from": "00:00", "to": "12:00"}]}
    _, few = load_of(plant(ovens=2), document())
    _, many = load_of(plant(ovens=41, spikes_a_day=2, days=3), document())
    _, by_day = load_of(plant(), document(suppression=night))
    assert few.expected == pytest.approx(47.9, abs=0.2)
    assert many.expected == pytest.approx(82, rel=0.1)
    assert by_day.expected == pytest.approx(12.1, abs=0.6)


def test_what_is_there_already_is_counted_for_its_position_and_not_for_others():
    platform = plant()
    platform.assets.store_assets([other("mixer-1", "dough"), other("oven-9", "baker")])
    there = document(name="other", assets=["oven-9", "mixer-1"], above=999)
    revisions_and_evaluation_plan.apply(platform, [there], "engineer", at(0), "test")
    for minute, asset in product(range(0, NOW, 60), ("oven-9", "mixer-1")):
        found = episode(minute, id=f"{asset}-{minute}", definition="other", asset=asset)
        platform.episodes.insert(replace(found, condition="closed", closed_at=found.raised_at))
    _, load = load_of(platform, document(assets=["oven-1"]))
    assert load.now == pytest.approx(24)


def test_too_little_history_or_no_champion_says_so_and_lets_it_pass():
    platform = plant(days=1)
    [forecast] = foreseen(platform, document())
    assert (forecast.breaks, forecast.messages) == (
        False,
        (
            "number of alarms at position baker unknown: there are readings of 23h30m only, at "
            "least 1d are needed",
        ),
    )
    assert gated(platform, document())[0].action == "new"
    of_one = plant()
    of_one.readings.index = of_one.readings.index[-1:]
    of_one.readings.values = of_one.readings.values[-1:]
    [forecast] = foreseen(of_one, document())
    assert "there are readings of 0s only, at least 1d are needed" in forecast.messages[0]
    [forecast] = foreseen(plant(), too_moist())
    assert not forecast.breaks
    assert "number of alarms unknown until trained" in forecast.messages[0]
    assert "at most 3 false alarms a week" in forecast.messages[0]


# --- refuse, warn, accept
# -----------------------------------------------------------------------------------------------


def test_over_the_budget_nothing_is_applied_and_the_way_out_is_named():
    platform = plant(per_day=20)
    with pytest.raises(
        UserError,
        match=r"expected 23.9 alarms a day at position baker; budget 20(.|\n)*accept the load",
    ):
        gated(platform, document(), document(name="harmless", above=999))
    assert platform.definitions.latest_revisions() == []


def test_who_says_why_may_put_it_in_service_and_the_audit_keeps_it():
    platform = plant(per_day=20)
    why = "start-up week, agreed with the shift"
    gated(platform, document(), accepted=why)
    assert [r.name for r in platform.definitions.latest_revisions()] == ["too-hot"]
    [entry] = [e for e in audit_entries(platform) if e["what"] == "alarm load accepted"]
    assert (entry["actor"], entry["subject"], entry["why"]) == ("engineer", "too-hot", why)
    assert "budget 20" in entry["after"][0]


def test_a_refusal_names_the_smallest_change_that_would_fit_tried_on_the_readings():
    platform = plant(per_day=10)
    [forecast] = foreseen(platform, document())
    [remedy] = forecast.remedies
    assert remedy.startswith("for: 30m (only where an alarm that clears at once needs no action")
    assert "it would fit with for: 30m" in forecast.messages[-1]
    assert not foreseen(platform, document(**{"for": "30m"}))[0].breaks


def test_budgets_of_the_plant_and_of_a_position_break_and_what_is_not_in_service_is_not_judged():
    platforms = {
        "warn": plant(mode="warn", per_day=20),
        "position": plant(by_position={"baker": 20}),
        "larger": plant(per_day=20, by_position={"baker": 100}),
    }
    found = {name: foreseen(one, document())[0].breaks for name, one in platforms.items()}
    assert found == {"warn": True, "position": True, "larger": False}
    assert gated(platforms["warn"], document())[0].action == "new"
    assert foreseen(plant(mode="off", per_day=20), document()) == []
    for state in ("draft", "retired"):
        assert foreseen(plant(per_day=1), document(state=state)) == []


def test_floods_break_the_budget_even_where_the_day_is_within_it():
    forecast, load = load_of(plant(ovens=12, spikes_a_day=4, per_day=1000), document())
    assert load.floods > 0.01
    assert forecast.breaks
    assert "in flood" in forecast.messages[0]


def test_what_asks_for_less_than_before_is_let_through_even_over_the_budget():
    platform = live(plant(per_day=20))
    _, same = load_of(platform, document(title="Too hot", above=216))
    calmer, load = load_of(platform, document(**{"for": "31m"}))
    assert (calmer.breaks, load.expected) == (False, 0)
    assert same.before == pytest.approx(24, abs=0.3)


def test_a_change_of_words_alone_is_not_judged_again():
    platform = plant(per_day=1000)
    gated(platform, document())
    assert foreseen(platform, document(title="Too hot", guidance={"action": "turn it down"})) == []
    assert len(foreseen(platform, document(above=210))) == 1


def test_what_is_put_in_service_straight_in_the_database_is_an_alert_until_its_revision_ends():
    platform = plant(per_day=20)
    definitions = platform.definitions
    found = []
    for changes in ({}, None, {"above": 999}):
        if changes is not None:
            definitions.store_document(document(**changes))
        over = maintain(platform, platform.clock.now())["over_budget"]
        alerts = platform.platform_alerts.open()
        found.append((over, [(a.kind, a.subject, "budget 20" in a.reason) for a in alerts]))
    alert = ("alarm load", "too-hot revision 1", True)
    assert found == [(["too-hot"], [alert]), ([], [alert]), ([], [])]


# --- parts
# --------------------------------------------------------------------------------------------------


def test_a_position_is_the_assets_own_or_the_one_above_it():
    line = Asset(name="line-1", position="lead")
    mixer = Asset(name="mixer-1", parent="line-1", position="dough")
    plain = Asset(name="oven-1", parent="line-1")
    loose = Asset(name="loose")
    tree = AssetTree([line, mixer, plain, loose])
    assert [tree.position(a) for a in (line, mixer, plain, loose)] == [
        "lead", "dough", "lead", "operators",
    ]  # fmt: skip


def test_what_is_applied_together_with_a_refused_definition_is_not_stored_either():
    platform = plant(per_day=20)
    mixer = ({"name": "mixer-1", "title": "Mixer"}, "assets.yaml")
    given = {"definition": [(document(), "hot.yaml")], "asset": [mixer]}
    plan = plan_together(platform, given)
    now = platform.clock.now()
    with pytest.raises(UserError, match="accept the load"):
        apply_together(platform, plan, "engineer", now, "test")
    assert (platform.assets.get("mixer-1"), audit_entries(platform)) == (None, [])
    apply_together(platform, plan, "engineer", now, "test", "start-up week")
    assert platform.assets.get("mixer-1").title == "Mixer"
    what = [entry["what"] for entry in audit_entries(platform)]
    assert what == ["asset applied", "definition applied", "alarm load accepted"]


def test_a_load_that_adds_next_to_nothing_never_breaks_a_budget_that_is_broken_already():
    users = {"a": 300, "b": 150, "c": 49, "d": 1}
    broken = {"now": 500, "budget": 144, "users": users}
    loads = [
        PositionLoad("p", expected=expected, floods=floods, floods_now=0.1, before=before, **broken)
        for expected, floods, before in ((0, 0.5, 0), (1.4, 0.5, 0), (1.5, 0, 0), (9.4, 0.5, 8))
    ]
    assert [load.breaks(0.01) for load in loads] == [False, False, True, False]
    assert loads[2].message == (
        "expected 1.5 alarms a day at position p; budget 144, now 500, with this one 502; the "
        "present ones come from a (300), b (150), c (49) and 1 more"
    )


def test_no_rate_is_extrapolated_from_less_than_a_day():
    """Three hours of ten assets are more than a day together."""
    _, load = load_of(plant(ovens=10, days=0.125, mode="warn"), document())
    assert load.expected == pytest.approx(3 * 10, abs=10), "eight times as many before"


def test_settings_say_what_is_refused_and_where():
    given = {
        "ALERTING_ALARM_GATE": "warn",
        "ALERTING_ALARM_BUDGET": "100",
        "ALERTING_ALARM_BUDGET_OVEN_1": "30",
    }
    budget = read_settings(given).budget
    positions = [budget.for_position(name) for name in ("anywhere", "oven-1")]
    assert (budget.mode, positions) == ("warn", [100, 30])
    assert read_settings({}).budget.mode == "refuse"
    with pytest.raises(SettingsRefused, match=r"ALERTING_ALARM_GATE(.|\n)*ALERTING_ALARM_BUDGET"):
        read_settings({"ALERTING_ALARM_GATE": "maybe", "ALERTING_ALARM_BUDGET": "-1"})
