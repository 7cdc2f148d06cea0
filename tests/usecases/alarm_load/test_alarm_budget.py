"""The alarm budget gate: a definition that asks too much of a position is not put in service
unseen."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from alerting.alarm_kpis.load import PositionLoad, flood_share
from alerting.definitions.assets import Asset, AssetTree
from alerting.definitions.faults import UserError
from alerting.definitions.upkeep import AlarmBudget
from alerting.episodes.episode import Episode
from alerting.readings.history import History
from alerting.settings.environment import SettingsRefused, read_settings
from alerting.usecases.alarm_load.budget_gate import apply_within_budget, forecasts
from alerting.usecases.definitions import sync
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.upkeep.maintain import maintain
from tests.builders import at, oven, too_hot, too_moist
from tests.frame_readings import OneByOne
from tests.helpers.episodes import episode
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

    def load(self, asset, start, end, variables=None, events_since=None, with_events=True):
        inside = (self.index > start) & (self.index <= end)
        return History(
            asset, pd.DataFrame({"temperature": self.values[inside]}, index=self.index[inside])
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
    return forecasts(platform, sync.plan(platform, documents), platform.clock.now())


def gated(platform, *documents, accepted=""):
    return apply_within_budget(
        platform,
        documents,
        foreseen(platform, *documents),
        "engineer",
        platform.clock.now(),
        "test",
        accepted,
    )


# --- what is foreseen
# --------------------------------------------------------------------------------------------------


def test_the_load_is_what_live_evaluation_would_have_raised():
    platform = plant()
    [forecast] = foreseen(platform, document())
    [load] = forecast.loads
    live = plant()
    sync.apply(live, [document()], "engineer", at(0) - timedelta(minutes=1), "test")
    evaluate(live, None, at(NOW))
    assert load.position == "baker"
    assert load.expected == pytest.approx(len(live.episodes.find()) / 7, rel=0.01)
    assert forecast.over == timedelta(days=7) - timedelta(minutes=30)


def test_all_assets_of_a_position_count_and_of_many_a_sample_is_judged():
    [few] = foreseen(plant(ovens=2), document())
    [many] = foreseen(plant(ovens=41, spikes_a_day=2, days=3), document())
    assert few.loads[0].expected == pytest.approx(47.9, abs=0.2)
    assert many.loads[0].expected == pytest.approx(82, rel=0.1)


def test_what_is_there_already_is_counted_for_its_position_and_not_for_others():
    platform = plant()
    platform.assets.store_assets([other("mixer-1", "dough"), other("oven-9", "baker")])
    sync.apply(
        platform,
        [document(name="other", assets=["oven-9", "mixer-1"], above=999)],
        "engineer",
        at(0),
        "test",
    )
    for minute in range(0, NOW, 60):
        for asset in ("oven-9", "mixer-1"):
            found = episode(minute, id=f"{asset}-{minute}", definition="other", asset=asset)
            assert isinstance(found, Episode)
            platform.episodes.insert(replace(found, condition="closed", closed_at=found.raised_at))
    [forecast] = foreseen(platform, document(assets=["oven-1"]))
    assert forecast.loads[0].now == pytest.approx(24)


def test_suppressed_alarms_are_no_load():
    night = {"windows": [{"from": "00:00", "to": "12:00"}]}
    [forecast] = foreseen(plant(), document(suppression=night))
    assert forecast.loads[0].expected == pytest.approx(12.1, abs=0.6)


def test_too_little_history_says_so_and_lets_it_pass():
    platform = plant(days=1)
    [forecast] = foreseen(platform, document())
    assert not forecast.breaks
    [words] = forecast.messages
    assert words == (
        "number of alarms at position baker unknown: there are readings of 23h30m only, at "
        "least 1d are needed"
    )
    assert gated(platform, document())[0].action == "create"


def test_a_classifier_without_a_champion_says_that_nothing_can_be_known():
    platform = plant()
    [forecast] = foreseen(platform, too_moist())
    assert not forecast.breaks
    assert "number of alarms unknown until trained" in forecast.messages[0]
    assert "at most 3 false alarms a week" in forecast.messages[0]


# --- refuse, warn, accept
# -----------------------------------------------------------------------------------------------


def test_over_the_budget_nothing_is_applied_and_the_way_out_is_named():
    platform = plant(per_day=20)
    with pytest.raises(
        UserError,
        match=r"expected 23.9 alarms a day at position baker; budget 20(.|\n)*--accept-load REASON",
    ):
        gated(platform, document(), document(name="harmless", above=999))
    assert platform.definitions.latest_revisions() == []


def test_who_says_why_may_put_it_in_service_and_the_audit_keeps_it():
    platform = plant(per_day=20)
    kept = []
    platform = replace(platform, audit=Audit(kept))
    gated(platform, document(), accepted="start-up week, agreed with the shift")
    assert [r.name for r in platform.definitions.latest_revisions()] == ["too-hot"]
    [entry] = [e for e in kept if e["what"] == "alarm load accepted"]
    assert (entry["actor"], entry["subject"], entry["why"]) == (
        "engineer",
        "too-hot",
        "start-up week, agreed with the shift",
    )
    assert "budget 20" in entry["after"][0]


def test_a_refusal_names_the_smallest_change_that_would_fit_tried_on_the_readings():
    platform = plant(per_day=10)
    [forecast] = foreseen(platform, document())
    assert len(forecast.remedies) == 1
    assert forecast.remedies[0].startswith(
        "for: 30m (only where an alarm that clears at once needs no action"
    )
    assert "it would fit with for: 30m" in forecast.messages[-1]
    [tried] = foreseen(platform, document(**{"for": "30m"}))
    assert not tried.breaks


class Audit:
    def __init__(self, kept):
        self.kept = kept

    def add(self, actor, what, subject, at, before=None, after=None, why=""):
        self.kept.append(
            {"actor": actor, "what": what, "subject": subject, "after": after, "why": why}
        )


def test_a_gate_that_warns_applies_all_the_same_and_one_that_is_off_judges_nothing():
    platform = plant(mode="warn", per_day=20)
    assert foreseen(platform, document())[0].breaks
    assert gated(platform, document())[0].action == "create"
    assert foreseen(plant(mode="off", per_day=20), document()) == []


def test_a_position_may_have_a_budget_of_its_own():
    assert foreseen(plant(by_position={"baker": 20}), document())[0].breaks
    assert not foreseen(plant(per_day=20, by_position={"baker": 100}), document())[0].breaks


def test_floods_break_the_budget_even_where_the_day_is_within_it():
    platform = plant(ovens=12, spikes_a_day=4, per_day=1000)
    [forecast] = foreseen(platform, document())
    assert forecast.loads[0].floods > 0.01
    assert forecast.breaks
    assert "in flood" in forecast.messages[0]


def test_what_asks_for_less_than_before_is_let_through_even_over_the_budget():
    platform = plant(per_day=20)
    sync.apply(platform, [document()], "engineer", at(0) - timedelta(minutes=1), "test")
    evaluate(platform, None, at(NOW))
    deliver_due(platform, at(NOW))
    [same] = foreseen(platform, document(title="Too hot", above=216))
    [calmer] = foreseen(platform, document(**{"for": "31m"}))
    assert (calmer.breaks, calmer.loads[0].expected) == (False, 0)
    assert same.loads[0].before == pytest.approx(24, abs=0.3)


@pytest.mark.parametrize("changes", [{"state": "draft"}, {"state": "retired"}])
def test_what_is_not_put_in_service_is_not_held_back(changes):
    assert foreseen(plant(per_day=1), document(**changes)) == []


def test_a_change_of_words_alone_is_not_judged_again():
    platform = plant(per_day=1000)
    gated(platform, document())
    assert foreseen(platform, document(title="Too hot", guidance={"action": "turn it down"})) == []
    assert len(foreseen(platform, document(above=210))) == 1


# --- edited in the database
# ---------------------------------------------------------------------------------------------


def edit(platform, **changes):
    platform.definitions.store_document(document(**changes))
    return maintain(platform, platform.clock.now())


def open_alerts(platform):
    return [(a.kind, a.subject) for a in platform.platform_alerts.open()]


def test_what_is_put_in_service_straight_in_the_database_raises_a_platform_alert():
    platform = plant(per_day=20)
    assert edit(platform)["over_budget"] == ["too-hot"]
    assert open_alerts(platform) == [("alarm load", "too-hot revision 1")]
    assert "budget 20" in platform.platform_alerts.open()[0].reason


def test_it_is_checked_once_and_the_alert_ends_with_the_revision():
    platform = plant(per_day=20)
    edit(platform)
    assert maintain(platform, platform.clock.now())["over_budget"] == []
    assert edit(platform, above=999)["over_budget"] == []
    assert open_alerts(platform) == []


# --- parts
# --------------------------------------------------------------------------------------------------


def test_a_position_is_the_assets_own_or_the_one_above_it():
    line = Asset(name="line-1", position="lead")
    mixer = Asset(name="mixer-1", parent="line-1", position="dough")
    oven_1 = Asset(name="oven-1", parent="line-1")
    loose = Asset(name="loose")
    assert [AssetTree([line, mixer, oven_1, loose]).position(a) for a in (line, mixer, oven_1,
    loose)] == [
        "lead", "dough", "lead", "operators",
    ]  # fmt: skip


def test_a_load_that_adds_nothing_never_breaks_a_budget_that_is_broken_already():
    assert not PositionLoad(
        "p", expected=0, now=500, budget=144, floods=0.5, floods_now=0.5
    ).breaks(0.01)
    assert PositionLoad("p", expected=1, now=500, budget=144, floods=0, floods_now=0).breaks(0.01)


def test_floods_are_shares_of_ten_minute_periods():
    burst = [at(m / 10) for m in range(11)]
    assert flood_share(burst, at(0), at(100), 10) == pytest.approx(0.1)
    assert flood_share(burst[:10], at(0), at(100), 10) == 0
    assert flood_share([], at(0), at(100), 10) == 0


def test_settings_say_what_is_refused_and_where():
    read = read_settings(
        {
            "ALERTING_ALARM_GATE": "warn",
            "ALERTING_ALARM_BUDGET": "100",
            "ALERTING_ALARM_BUDGET_OVEN_1": "30",
        }
    )
    assert (
        read.budget.mode,
        read.budget.for_position("anywhere"),
        read.budget.for_position("oven-1"),
    ) == (
        "warn",
        100,
        30,
    )
    assert read_settings({}).budget.mode == "refuse"
    with pytest.raises(SettingsRefused, match=r"ALERTING_ALARM_GATE(.|\n)*ALERTING_ALARM_BUDGET"):
        read_settings({"ALERTING_ALARM_GATE": "maybe", "ALERTING_ALARM_BUDGET": "-1"})
