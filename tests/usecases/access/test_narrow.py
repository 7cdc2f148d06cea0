"""An account with a scope gets a platform on which the rest of the plant does not exist."""

from dataclasses import fields
from datetime import timedelta
from inspect import signature

import pytest

from alerting.adapters.platform import Platform
from alerting.definitions.assets import Asset, Variable
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.routes import Route, route_document
from alerting.definitions.sources.source import HttpSource
from alerting.episodes.episode import Feedback
from alerting.episodes.misses import ReportedMiss
from alerting.notifications.notification import Notification
from alerting.operators.actions import NotAllowed
from alerting.operators.people import Account
from alerting.operators.shelves import new_shelf
from alerting.ports import (
    EventRow,
    PredictJob,
    ReadingRow,
    ReportContent,
    ReportHead,
)
from alerting.usecases.access import narrow as narrowing
from alerting.usecases.access.narrow import narrow
from alerting.usecases.access.visible import VisibleParts
from alerting.usecases.definitions.sync import apply
from alerting.usecases.notification.routes import recipients_now
from alerting.usecases.operators import operate, shelving
from alerting.usecases.operators.misses import report_miss
from alerting.usecases.registry.model_cache import ModelCache
from alerting.usecases.scoring.predict import predict
from alerting.usecases.sources.deliver import deliver
from tests.builders import at, too_hot
from tests.helpers.episodes import episode
from tests.in_memory_platform import Mailbox, in_memory_platform

OTTO = operate.Actor("otto", "operator")
HEAT = {"temperature": Variable(unit="°C")}


@pytest.fixture
def plant():
    made = in_memory_platform(Mailbox("log"))
    made.assets.store_assets(
        [
            Asset(name="plant", position="desk"),
            Asset(name="line-1", parent="plant"),
            Asset(name="line-2", parent="plant"),
            Asset(name="oven-1", parent="line-1", variables=HEAT),
            Asset(name="oven-2", parent="line-2", variables=HEAT),
        ]
    )
    documents = [
        too_hot(),
        too_hot(name="hot-2", assets=["oven-2"]),
        too_hot(name="all-hot", assets=["oven-*"], above=220),
    ]
    apply(made, documents, "ada", at(0), "first")
    for name, asset, minute in (
        ("too-hot", "oven-1", 5),
        ("hot-2", "oven-2", 6),
        ("all-hot", "oven-1", 7),
        ("all-hot", "oven-2", 8),
    ):
        made.episodes.insert(episode(minute, name, asset, condition="open", closed_at=None))
    made.clock.instant = at(60)
    return made


def scoped(plant, *scopes, person="otto"):
    part = VisibleParts().find(
        scopes or (("line-1",),), plant.assets, plant.definitions, plant.evaluation_plans, at(0)
    )
    return narrow(plant, part, person)


def targets(found):
    return [(one.definition, one.asset) for one in found]


def test_every_port_has_rules_of_its_own_methods_or_is_refused():
    ports = {field.name: field.type for field in fields(Platform)}
    assert set(narrowing.RULES) | narrowing.AS_IT_IS <= set(ports)
    for name, rules in narrowing.RULES.items():
        for method in rules:
            assert hasattr(ports[name], method), (name, method)
            if callable(getattr(ports[name], method)):
                assert next(iter(signature(getattr(ports[name], method)).parameters)) == "self"


def test_a_port_or_method_without_a_rule_is_refused(plant):
    otto = scoped(plant)
    for ask in (
        lambda: otto.sweeps.readings("oven-1", at(0), dry=True),
        lambda: otto.backtests.for_definition("too-hot"),
        lambda: otto.audit.for_interval(at(0), at(9)),
        lambda: otto.notifications.due(at(9), 5),
        lambda: otto.access_tokens.all("otto"),
        lambda: otto.episodes.with_due_outcomes(at(9)),
        lambda: otto.dead_messages.dead(None, 10),
    ):
        with pytest.raises(NotAllowed):
            ask()


def test_episodes_are_visible_by_their_asset_in_pages_that_are_full(plant):
    otto = scoped(plant)
    assert targets(otto.episodes.find()) == [("all-hot", "oven-1"), ("too-hot", "oven-1")]
    assert targets(otto.episodes.find(limit=1)) == [("all-hot", "oven-1")]
    assert otto.episodes.find(asset="oven-2") == []
    assert otto.episodes.find("hot-2") == []
    [hidden] = plant.episodes.find("hot-2")
    assert otto.episodes.get(hidden.id) is None
    assert otto.episodes.get_many([hidden.id]) == {}
    assert otto.episodes.starting_with(hidden.id[:6]) == []
    assert {one.asset for one in otto.episodes.alarms(at(0), at(60))} == {"oven-1"}


def test_a_definition_is_visible_only_with_all_its_assets(plant):
    otto = scoped(plant).definitions
    assert [one.name for one in otto.latest_revisions()] == ["too-hot"]
    assert [one["name"] for one in otto.documents()] == ["too-hot"]
    assert otto.newest_revision("all-hot") is None
    assert otto.newest_revision("hot-2") is None
    assert otto.revisions("hot-2") == []
    whole = scoped(plant, ("line-1", "line-2")).definitions
    assert [one.name for one in whole.latest_revisions()] == ["all-hot", "hot-2", "too-hot"]
    assert otto.visible_revisions("too-hot") == whole.visible_revisions("too-hot") != []
    assert otto.visible_revisions("all-hot") == []
    assert otto.revisions("all-hot") == whole.visible_revisions("all-hot") != []


def test_no_score_is_given_by_a_definition_with_an_asset_out_of_scope(plant):
    models = ModelCache(plant)
    with pytest.raises(NotFound, match="all-hot"):
        predict(scoped(plant), models, "all-hot", "oven-1")
    with pytest.raises(UserError, match="has no model"):
        predict(scoped(plant), models, "too-hot", "oven-1")


def test_children_follow_their_parent_within_a_second(plant):
    parts = VisibleParts()
    later = at(0) + timedelta(seconds=1)
    found = [plant.assets, plant.definitions, plant.evaluation_plans]
    assert "oven-2" not in parts.find((("line-1",),), *found, at(0)).assets
    plant.assets.store_assets([plant.assets.get("oven-2").model_copy(update={"parent": "line-1"})])
    assert parts.find((("line-1",),), *found, later).assets == {"line-1", "oven-1", "oven-2"}
    assert "all-hot" in parts.find((("line-1",),), *found, later).definitions


def test_assets_out_of_scope_are_in_no_list_and_no_suggestion(plant):
    otto = scoped(plant)
    assert [one.name for one in otto.assets.all()] == ["line-1", "oven-1"]
    assert otto.assets.get("oven-2") is None
    assert otto.assets.get_many(["oven-1", "oven-2"]).keys() == {"oven-1"}
    with pytest.raises(NotFound) as unknown:
        shelving.shelve(otto, "all-hot", "oven-2", OTTO, at(60), at(90), "noise")
    assert "oven-1" in str(unknown.value)
    with pytest.raises(NotFound) as unknown:
        report_miss(otto, "hot-1", "oven-1", at(30), "", OTTO, at(60))
    assert "hot-2" not in str(unknown.value)


def test_a_position_that_an_ancestor_out_of_scope_gives_stays_and_is_not_written(plant):
    otto = scoped(plant)
    [line, oven] = otto.assets.all()
    assert (line.position, oven.position) == ("desk", "desk")
    otto.assets.store_assets([oven])
    assert plant.assets.get("oven-1").position is None


def test_an_operator_works_on_visible_episodes_of_a_definition_out_of_scope(plant):
    otto = scoped(plant)
    [alarm] = otto.episodes.find("all-hot")
    assert operate.acknowledge(otto, alarm.id, OTTO, at(60)).acknowledged.actor == "otto"
    shelf = shelving.shelve(otto, "all-hot", "oven-1", OTTO, at(60), at(90), "noise")
    assert targets(otto.shelves.in_force()) == [("all-hot", "oven-1")]
    shelving.unshelve(otto, "all-hot", "oven-1", OTTO, at(61))
    assert plant.shelves.get(shelf.id).ended_by == "otto"


@pytest.mark.parametrize("act", [operate.acknowledge, operate.confirm])
def test_no_act_reaches_an_episode_out_of_scope(plant, act):
    [hidden] = plant.episodes.find("hot-2")
    with pytest.raises(NotFound):
        act(scoped(plant), hidden.id, OTTO, at(60))
    assert plant.episodes.get(hidden.id) == hidden


def writes():
    def refused(name):
        return lambda write: pytest.param(write, id=name)

    def hidden(plant):
        return plant.episodes.find("hot-2")[0]

    shelf = new_shelf("hot-2", "oven-2", "shelved", at(1), at(9), "noise", "otto", 0)
    message = Notification("k", "log", "raised", "hot", at(1), at(1), episode="e", asset="oven-2")
    row = ReadingRow("oven-2", at(1), {"temperature": 1.0})
    event = EventRow("oven-2", "stop", at(1), None, "otto")
    answer = Feedback("", "true_alarm", False, None, None, "otto", at(1))
    yield refused("episode")(lambda o, p: o.episodes.insert(hidden(p)))
    yield refused("shelf")(lambda o, p: o.shelves.insert(shelf))
    yield refused("miss")(
        lambda o, p: o.misses.append(ReportedMiss("hot-2", "oven-2", at(1), "", "otto", at(2)))
    )
    yield refused("feedback")(
        lambda o, p: o.feedback.append(
            Feedback(hidden(p).id, "true_alarm", False, None, None, "otto", at(1))
        )
    )
    yield refused("feedback on nothing")(lambda o, p: o.feedback.append(answer))
    yield refused("message")(lambda o, p: o.notifications.add([message]))
    yield refused("reading")(lambda o, p: o.reading_writes.insert([row], at(1)))
    yield refused("event")(lambda o, p: o.reading_writes.write_events([(None, event)], at(1)))
    yield refused("no reading")(lambda o, p: o.reading_writes.delete_samples([row]))
    yield refused("no event")(lambda o, p: o.reading_writes.delete_events([event]))
    yield refused("asset")(lambda o, p: o.assets.store_assets([p.assets.get("oven-2")]))
    yield refused("new asset")(lambda o, p: o.assets.store_assets([Asset(name="oven-3")]))
    yield refused("definition of others")(
        lambda o, p: o.definitions.store_document(too_hot(name="mine", assets=["oven-*"]))
    )
    yield refused("definition of an unknown asset")(
        lambda o, p: o.definitions.store_document(too_hot(name="mine", assets=["oven-9"]))
    )
    yield refused("name of a hidden definition")(
        lambda o, p: o.definitions.store_document(too_hot(name="hot-2"))
    )
    yield refused("revision")(
        lambda o, p: o.definitions.add_revision(p.definitions.revisions("hot-2")[0])
    )
    yield refused("job")(
        lambda o, p: o.predict_jobs.insert(PredictJob("j", "hot-2", "otto", at(1), 5))
    )
    yield refused("route")(lambda o, p: o.routes.store_document({"name": "r"}))
    yield refused("account of another")(
        lambda o, p: o.accounts.replace(Account("ada", "admin", at(0), "x", at(0)))
    )


@pytest.mark.parametrize("write", list(writes()))
def test_a_write_out_of_scope_is_refused(plant, write):
    with pytest.raises(NotAllowed):
        write(scoped(plant), plant)


def test_a_sender_of_a_line_stores_its_rows_and_the_others_are_refused_one_by_one(plant):
    gateway = scoped(plant, person="gateway-1")
    rows = [
        {"ts": at(1).isoformat(), "asset": asset, "values": {"temperature": 200.0}}
        for asset in ("oven-1", "oven-2", "oven-3")
    ]
    api = HttpSource(name="api", kind="http", delivers="readings")
    found = deliver(gateway, api, rows, at(2), by=None, sender="gateway-1")
    assert (found.rows, [refused.line for refused in found.refused]) == (1, [2, 3])
    hidden, unknown = (row.reason.replace("oven-2", "oven-3") for row in found.refused)
    assert hidden == unknown
    assert plant.readings.span("oven-2") is None
    assert [one.name for one in plant.assets.all() if one.name == "oven-3"] == []


def test_readings_are_of_visible_assets_and_of_what_lies_above_them(plant):
    otto = scoped(plant).readings
    assert otto.load(plant.assets.get("plant"), at(0), at(9)) is not None
    with pytest.raises(NotAllowed):
        otto.load(plant.assets.get("oven-2"), at(0), at(9))
    assert otto.span("oven-2") is None


def test_reports_and_jobs_are_those_of_visible_definitions(plant):
    for id, name in (("r1", "too-hot"), ("r2", "hot-2"), ("r3", "all-hot"), ("r4", None)):
        plant.reports.add(ReportHead(id, name, at(0), at(9), at(9)), ReportContent({}, id))
    for id, name in (("j1", "too-hot"), ("j2", "hot-2")):
        plant.predict_jobs.insert(PredictJob(id, name, "ada", at(1), 5))
    otto = scoped(plant)
    assert [head.id for head in otto.reports.newest_reports(10)] == ["r1"]
    assert [otto.reports.page(f"r{n}") for n in range(1, 5)] == ["r1", None, None, None]
    assert otto.reports.for_definition(None) == otto.reports.for_definition("hot-2") == []
    assert [job.id for job in otto.predict_jobs.all()] == ["j1"]
    assert otto.predict_jobs.get("j2") is None


def test_routes_notify_of_visible_assets_and_name_no_others(plant):
    for name, match in (
        ("every", {}),
        ("first", {"assets": ["oven-1", "oven-2", "line-2*"]}),
        ("second", {"assets": ["oven-2"]}),
        ("hot", {"definitions": ["hot-2"]}),
    ):
        route = Route.model_validate({"name": name, "channels": ["log"], "match": match})
        plant.routes.store_document(route_document(route))
    found = {one["name"]: one.get("match") for one in scoped(plant).routes.documents()}
    assert found.keys() == {"every", "first"}
    assert found["first"]["assets"] == ["oven-1"]


@pytest.mark.parametrize("scope", ["north", "line-1"])
def test_routes_of_other_plants_are_hidden_and_ones_own_choose_as_for_all(plant, scope):
    """Also of an account whose scope lies below the plant, which it cannot see."""
    plant.assets.store_assets(
        [
            Asset(name="north", plant={}),
            Asset(name="south", plant={}),
            Asset(name="line-1", parent="north"),
            Asset(name="line-2", parent="south"),
        ]
    )
    channels = {"north": "nord", "south": "sud", "both": "mail"}
    for name, channel in channels.items():
        plants = [name] if name != "both" else ["south", "north"]
        match = {"plants": plants}
        plant.routes.store_document({"name": name, "channels": [channel], "match": match})
    otto = scoped(plant, (scope,))
    found = {one["name"]: one["match"]["plants"] for one in otto.routes.documents()}
    assert found == {"north": ["north"], "both": ["north"]}
    definition = plant.definitions.newest_revision("too-hot").definition
    for platform in (plant, otto):
        chosen = recipients_now(platform, definition, "oven-1", "medium", at(0))
        assert [one.channel for one in chosen] == ["mail", "nord"]


def test_faults_of_the_platform_that_concern_every_alarm_are_told_without_names(plant):
    plant.platform_alerts.report("evaluation late", "evaluate__1m", "hot-2 not evaluated", at(1))
    plant.platform_alerts.report("training failed", "hot-2", "no rows", at(1))
    plant.platform_alerts.report("source stale", "line-2", "no reading of oven-2", at(1))
    plant.platform_alerts.report("training failed", "too-hot", "no rows", at(1))
    found = [(one.subject, one.reason) for one in scoped(plant).platform_alerts.open()]
    assert sorted(found) == [("evaluate__1m", "evaluation late"), ("too-hot", "no rows")]


def test_an_account_reads_its_own_account_and_sessions_only(plant):
    for name in ("otto", "ada"):
        plant.accounts.insert(Account(name, "operator", at(0), "x", at(0)))
    otto = scoped(plant)
    assert otto.accounts.get("otto").id == "otto"
    assert otto.accounts.get("ada") is None
    assert [one.id for one in otto.accounts.all()] == ["otto"]


def test_an_empty_scope_sees_nothing(plant):
    nobody = scoped(plant, ())
    assert nobody.episodes.find() == []
    assert nobody.assets.all() == []
    assert nobody.definitions.documents() == []
    with pytest.raises(UserError):
        operate.find_episode(nobody.episodes, plant.episodes.find()[0].id)
