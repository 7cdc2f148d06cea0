"""Computed variables through the platform: in thresholds, conditions and models, live, late, in the
past and in a what-if."""

import numpy as np
import pytest

from alerting.definitions.asset_documents import Asset, Relation, Variable
from alerting.definitions.faults import UserError
from alerting.definitions.sources import HttpSource
from alerting.learning.data.dataset import build_dataset
from alerting.ports import ReadingRow
from alerting.readings.history import millis, with_computed
from alerting.recommendation.levers import Lever, followers, with_drivers
from alerting.recommendation.what_if import Courses
from alerting.usecases.backtest.backtest import backtest, named_subject
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply, current_plan
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.explain import why
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.ingestion.asset_import import GivenAsset, import_assets
from alerting.usecases.make_reports import make_report
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.notification.episode_values import chart_of
from alerting.usecases.sources.records import read_readings
from tests import small_models
from tests.builders import at
from tests.in_memory_platform import Mailbox, in_memory_platform

pytestmark = pytest.mark.models

RATIO = Variable.model_validate(
    {
        "title": "Gas for each metre",
        "unit": "m³/m",
        "computed": {"kind": "ratio", "of": "gas", "by": "speed", "within": "3m"},
    }
)
OVEN = Asset(
    name="oven-1",
    variables={"gas": Variable(unit="m³/h"), "speed": Variable(unit="m/h"), "effort": RATIO},
)
DOCUMENT = {
    "name": "wasteful",
    "kind": "threshold",
    "assets": ["oven-1"],
    "variable": "effort",
    "above": 4,
    "for": "2m",
}
ROWS = [
    *(ReadingRow("oven-1", at(m), {"gas": 50.0 if 20 <= m < 40 else 30.0}) for m in range(1, 61)),
    *(ReadingRow("oven-1", at(m + 0.5), {"speed": 10.0}) for m in range(60)),
]


@pytest.fixture
def platform():
    made = in_memory_platform(Mailbox("mail"))
    made.assets.store_assets([OVEN])
    apply(made, [DOCUMENT], "engineer", at(0), "test")
    return made


def evaluated(platform, *minutes):
    for minute in minutes:
        platform.clock.instant = at(minute)
        evaluate(platform, None, at(minute))
        deliver_due(platform, at(minute))
    return lives(platform, "wasteful")


def lives(platform, name):
    return [(e.raised_at, e.closed_at) for e in platform.episodes.find(name)]


@pytest.mark.parametrize("minutes", [(61,), (5, 21, 22, 23, 39.7, 41, 61)])
def test_a_threshold_is_raised_when_the_computed_value_has_held(platform, minutes):
    several = {name: DOCUMENT[name] for name in ("kind", "assets")} | {
        "name": "both",
        "all": [{"variable": "effort", "above": 4}, {"variable": "speed", "below": 12}],
    }
    apply(platform, [several], "engineer", at(0), "test")
    add_readings(platform, ROWS, at(0))
    assert evaluated(platform, *minutes) == [(at(22), at(40))]
    assert lives(platform, "both") == [(at(20), at(40))]
    run = backtest(platform, named_subject(platform, "wasteful"), at(0), at(60))
    assert [(e.raised_at, e.closed_at) for e in run.episodes] == [(at(22), at(40))]
    [episode] = platform.episodes.find("wasteful")
    assert episode.inputs == {"effort": 5.0}
    facts = " ".join(why(platform, "wasteful", "oven-1", at(30)).facts)
    assert "Gas for each metre was 5" in facts.replace("effort", RATIO.title)
    [panel] = chart_of(platform, episode, at(60)).panels
    assert (panel.name, panel.unit, max(panel.values)) == ("Gas for each metre", "m³/m", 5.0)
    outcomes = make_report(platform, "wasteful", at(0), at(60), at(90)).metrics["outcomes"]
    assert outcomes["undetermined"] == 1
    # a late value of a part evaluates it again
    add_readings(platform, [ReadingRow("oven-1", at(30.25), {"speed": 20.0})], at(62))
    assert (at(22), at(30.25)) in evaluated(platform, 63)


def test_a_target_reads_the_parts_and_waits_for_the_slowest(platform):
    platform.assets.store_assets(
        [
            OVEN.model_copy(
                update={"variables": OVEN.variables | {"gas": Variable(latency="4m", source="plc")}}
            )
        ]
    )
    [target] = current_plan(platform).targets
    assert target.also_reads == ("effort", "gas", "speed")
    assert target.latency == 240_000


def test_an_import_of_assets_refuses_what_cannot_be_computed_and_readings_of_its_own(platform):
    add_readings(platform, ROWS[:1], at(0))

    def imported(**variables):
        import_assets(
            "f.yaml",
            [GivenAsset("asset 1", {"name": "oven-1", "variables": variables})],
            platform,
            now=at(1),
            actor="a",
        )

    imported(double={"computed": {"kind": "equal", "of": "effort", "gain": 2}})
    assert platform.assets.get("oven-1").variables["double"].computed.gain == 2
    with pytest.raises(UserError, match="the asset declares no variable 'gaz'"):
        imported(x={"computed": {"kind": "equal", "of": "gaz"}})
    with pytest.raises(UserError, match="is number and cannot become computed: there are readings"):
        imported(gas={"computed": {"kind": "equal", "of": "speed"}})


def test_a_source_cannot_deliver_a_computed_variable(platform):
    source = HttpSource(name="plc", kind="http", asset="oven-1")
    records = [{"ts": at(1).isoformat(), "values": {"effort": 3.0}}]
    found = read_readings(platform.assets, source, records, platform.zone, "plc")
    assert [refused.reason for refused in found.refused] == [
        "effort: is computed of gas and speed and has no readings of its own"
    ]


def line_with_dryness():
    computed = Variable.model_validate(
        {"computed": {"kind": "ratio", "of": "setpoint", "by": "belt", "within": "30m"}}
    )
    history = small_models.line(100)
    asset = history.asset.model_copy(
        update={"variables": {**history.asset.variables, "dryness": computed}}
    )
    return with_computed(type(history)(asset, history.readings), ["dryness"])


def test_a_model_learns_from_it_and_a_what_if_of_a_part_computes_it_again():
    history = line_with_dryness()
    definition = small_models.definition(include=["dryness", "humidity"])
    data = build_dataset(definition, 1, [history], small_models.as_of(history))
    assert "dryness.last" in data.plan.columns
    assert with_drivers(history.asset, ["dryness"]) == {"dryness", "setpoint", "belt"}
    assert followers(history.asset, "setpoint") == ("dryness",)
    instant = int(millis(history.readings.index)[-1])
    lever = Lever(
        "setpoint", float(history.readings["setpoint"].iloc[-1]), (200.0,), 180, 260, 0.0, 80.0, 1.0
    )
    courses = Courses(history, instant, 3_600_000)
    [moved] = courses.moved([lever], np.array([[200.0]]), np.array([instant]))
    after = history.readings.assign(setpoint=moved["setpoint"])
    expected = with_computed(type(history)(history.asset, after), ["dryness"]).readings["dryness"]
    assert moved["dryness"] == pytest.approx(expected.to_numpy())
    assert not np.allclose(moved["dryness"][-1], history.readings["dryness"].iloc[-1])
    assert moved["dryness"][0] == history.readings["dryness"].iloc[0]
    relation = Relation(variable="belt", kind="equal", of="humidity", gain=0.1)
    related = history.asset.model_copy(update={"relations": (relation,)})
    assert set(followers(related, "humidity")) == {"belt", "dryness"}
    assert with_drivers(related, ["dryness"]) == {"dryness", "setpoint", "belt", "humidity"}
