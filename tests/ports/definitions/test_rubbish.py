"""Documents edited straight in the database: rubbish in one is reported and left out, and the good
ones go on."""

import pytest

from alerting.adapters.airflow.dag_snapshot import DagSnapshot
from alerting.adapters.mongo.documents import to_document
from alerting.adapters.mongo.prepare import prepare_database
from alerting.definitions.assets import Asset, EventType
from alerting.definitions.faults import UserError
from alerting.definitions.shards import SHARDS
from alerting.ports import ReadingRow
from alerting.usecases.definitions import sync
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.operators.shelving import shelve
from alerting.usecases.reports.issue import due_reports
from alerting.usecases.upkeep.maintain import maintain
from tests.builders import at, classifier, oven, revision, threshold, too_hot, too_moist
from tests.in_memory_platform import HandClock, Mailbox, platform_on
from tests.rubbish import NAMES, rubbish

ASSET = to_document(
    oven().model_copy(update={"attributes": {"model": "M-3"}, "parent": "hall", "title": "Oven"})
)
del ASSET["relations"]  # empty here; KINDS fills it
TYPE = {"name": "stop", "duration": "lasting"}
ROUTE = {
    "name": "r", "channels": ["mail"], "timezone": "UTC", "match": {"assets": ["*"]},
    "repeat": "1h",
    "quiet": [{"from": "22:00", "to": "06:00"}],
    "escalation": [{"after": "5m", "channels": ["mail"]}], "platform": True,
}  # fmt: skip
SHELF = {
    "definition": "too-hot", "asset": "oven-1", "kind": "shelved", "since": at(-60),
    "until": at(600), "reason": "r",
    "actor": "w", "version": 1, "notifications": [], "force_key": "x",
}  # fmt: skip
HOT = too_hot(
    title="Hot",
    stale_after="1h",
    schedule={"every": "1m", "timezone": "UTC"},
    tags=["a"],
    allowed_lateness="1h",
)
QUIET = {"windows": [{"from": "22:00", "to": "23:00"}], "timezone": "UTC"}
MOIST = too_moist(
    learning={"trials": 1}, suppression=QUIET, schedule={"every": "2m", "retrain": "0 3 * * 0"}
)


@pytest.fixture
def stores(real):
    """A real server alone: here people edit documents, or a second process works."""
    return real


def _revision(definition):
    return {**to_document(revision(definition)), "at": at(0)}


KINDS = {
    "assets": (
        "assets",
        ASSET,
        (
            "variables.temperature.latency",
            "variables.a",
            "attributes.x",
            "variables.temperature",
            "relations",
        ),
    ),
    "event_types": ("event_types", TYPE, ("duration.x",)),
    "routes": ("routes", ROUTE, ("match.assets", "escalation.after", "quiet.from", "flood.within")),
    "shelves": ("shelves", SHELF, ("notifications", "until", "since")),
    "thresholds": (
        "alert_definitions",
        HOT,
        ("schedule.timezone", "schedule.every", "suppression.timezone", "levels.low"),
    ),
    "classifiers": (
        "alert_definitions",
        MOIST,
        ("periods.start", "features.windows", "problem.for", "suppression.windows"),
    ),
    "revisions": (
        "definition_revisions",
        _revision(threshold(**HOT)),
        (
            "definition.kind",
            "definition.schedule.every",
            "definition.name",
            "definition.above",
            "definition.schedule.timezone",
        ),
    ),
    "revisions of models": (
        "definition_revisions",
        _revision(classifier(**MOIST)),
        (
            "definition.kind",
            "definition.schedule.retrain",
            "definition.state",
            "definition.horizon",
            "definition.schedule.every",
        ),
    ),
}


@pytest.fixture
def platform(stores):
    """A platform that watches one oven, which is too hot, and tells a mailbox."""
    platform = platform_on(stores, [Mailbox("mail")], HandClock(at(0)))
    platform.assets.store_assets([oven()])
    platform.assets.put_event_types([EventType(name="failure", duration="instant")])
    sync.apply(platform, [too_hot(), too_moist()], "engineer", at(0), "first")
    platform.routes.store_document({"name": "all", "channels": ["mail"], "platform": True})
    add_readings(
        platform,
        [ReadingRow("oven-1", at(minute), {"temperature": 230.0}) for minute in range(1, 10)],
        at(10),
    )
    return platform


def leave(stores, collection, documents):
    """Write documents past the validator, as a server without one would take them."""
    for document in documents:
        stores.database[collection].insert_one(
            {key: value for key, value in document.items() if key != "_id"},
            bypass_document_validation=True,
        )


def goes_on(platform, minute, tmp_path=None):
    """Everything that must go on for the good documents, and the names that `list` shows."""
    platform.clock.instant = at(minute)
    evaluate(platform, None, at(minute))
    sync.sync(platform, at(minute))
    deliver_due(platform, at(minute))
    maintain(platform, at(minute))
    due_reports(platform, at(minute))
    platform.readings.load(oven(), None, at(minute))
    return {revision.name for revision in platform.definitions.latest_revisions()}


def told(platform):
    return {alert.subject for alert in platform.platform_alerts.open() if "faulty" in alert.kind}


@pytest.mark.parametrize("kind", KINDS)
def test_fifty_kinds_of_rubbish_stop_nothing_and_are_told_by_name(platform, stores, kind):
    collection, valid, nested = KINDS[kind]
    left = rubbish(valid, nested)
    if collection == "shelves":
        left = {
            what: {**document, "force_key": document["name"]} for what, document in left.items()
        }
    leave(stores, collection, left.values())

    names = goes_on(platform, 10)

    assert {"too-hot", "too-moist"} <= names
    assert [e.definition for e in platform.episodes.find(open_only=True) if e.asset == "oven-1"][
        -1:
    ] == ["too-hot"]
    assert any("too-hot" in str(message) for message in platform.channels["mail"].messages)
    subjects = told(platform)
    faulty = [
        document["name"]
        for document in left.values()
        if any(document["name"] in subject for subject in subjects)
    ]
    assert len(faulty) >= len(left) * (0.4 if collection == "shelves" else 0.8), sorted(subjects)
    assert goes_on(platform, 11) == names, "the second time it is as the first"


@pytest.mark.parametrize(
    "collection", ["assets", "event_types", "routes", "alert_definitions", "definition_revisions"]
)
def test_documents_with_names_that_are_none_stop_nothing_and_are_told(platform, stores, collection):
    valid = next(valid for name, valid, _ in KINDS.values() if name == collection)
    leave(stores, collection, [{**valid, "name": name} for name in NAMES.values()])
    leave(stores, collection, [{key: value for key, value in valid.items() if key != "name"}])

    assert {"too-hot", "too-moist"} <= goes_on(platform, 10)

    assert [e.definition for e in platform.episodes.find(open_only=True) if e.asset == "oven-1"][
        -1:
    ] == ["too-hot"]
    assert told(platform)


def test_a_mended_document_ends_its_alert(platform, stores):
    leave(stores, "assets", [{**ASSET, "name": "oven-2", "parent": 5}])
    goes_on(platform, 10)
    assert told(platform) == {"assets/oven-2"}
    stores.database["assets"].replace_one({"name": "oven-2"}, {**ASSET, "name": "oven-2"})
    goes_on(platform, 11)
    assert told(platform) == set()


def test_the_target_of_a_malformed_asset_is_left_out_and_the_other_targets_go_on(platform, stores):
    platform.assets.store_assets([oven().model_copy(update={"name": "oven-2"})])
    sync.apply(platform, [too_hot(assets=["oven-1", "oven-2"])], "engineer", at(0), "both")
    rows = [ReadingRow("oven-2", at(minute), {"temperature": 230.0}) for minute in range(1, 10)]
    add_readings(platform, rows, at(10))
    spoil(
        stores,
        "assets",
        {"name": "oven-2"},
        {"variables": {"temperature": {"latency": "99999999999999d"}}},
    )

    goes_on(platform, 10)

    assert {episode.asset for episode in platform.episodes.find(definition="too-hot")} == {"oven-1"}
    assert "assets/oven-2" in told(platform)
    [reason] = platform.definitions.faulty()["too-hot"]
    assert "the document of asset 'oven-2' is faulty" in reason


def test_an_open_episode_of_an_asset_whose_document_becomes_malformed_stays_open(platform, stores):
    goes_on(platform, 10)
    spoil(stores, "assets", {"name": "oven-1"}, {"variables": "none"})
    goes_on(platform, 12)
    assert [episode.condition for episode in platform.episodes.find(definition="too-hot")] == [
        "open"
    ]


def test_an_asset_that_no_longer_states_a_limit_is_left_out(platform, stores):
    platform.assets.store_assets(
        [
            Asset(name=n, attributes={"max": 200.0}, variables=oven().variables)
            for n in ("oven-1", "oven-2")
        ]
    )
    sync.apply(
        platform,
        [too_hot(assets=["oven-*"], above={"attribute": "max"})],
        "engineer",
        at(0),
        "per asset",
    )
    spoil(stores, "assets", {"name": "oven-2"}, {"attributes": {"max": "hot"}})
    goes_on(platform, 10)
    assert {episode.asset for episode in platform.episodes.find(definition="too-hot")} == {"oven-1"}
    assert "too-hot" in told(platform)


def test_the_last_valid_revision_stays_in_force_where_the_newest_one_is_of_an_unknown_kind(
    platform, stores
):
    newest = {**_revision(threshold()), "number": 2}
    newest["definition"] = {**newest["definition"], "kind": "oracle"}
    leave(stores, "definition_revisions", [newest])
    goes_on(platform, 10)
    assert {r.name: r.number for r in platform.definitions.latest_revisions()}["too-hot"] == 1
    assert [e.definition for e in platform.episodes.find(open_only=True)] == ["too-hot"]
    assert any(subject.startswith("definition_revisions/too-hot") for subject in told(platform))
    [plan] = sync.apply(platform, [too_hot(above=220)], "engineer", at(11), "a new one")
    assert (plan.action, platform.definitions.latest_revisions()[0].number) == ("change", 3), (
        "a number is never given twice"
    )


def test_a_revision_whose_limit_was_altered_in_database_is_followed_by_one_of_current_document(
    platform, stores
):
    spoil(stores, "definition_revisions", {"name": "too-hot"}, {"definition.above": 500.0})
    assert [r.number for r in sync.sync(platform, at(1)).new] == [2]
    assert sync.sync(platform, at(2)).new == ()
    assert platform.definitions.newest_revision("too-hot").definition.above == too_hot()["above"]


def test_nothing_is_written_that_could_not_be_read_again(platform):
    wrong = oven().model_copy(update={"title": "x" * 5000})
    before = platform.assets.all()
    with pytest.raises(UserError, match="title: has 5000 characters"):
        platform.assets.store_assets([Asset(name="oven-2"), wrong])
    with pytest.raises(UserError, match="duration"):
        platform.assets.put_event_types(
            [EventType.model_construct(name="stop", duration="for ever")]
        )
    assert platform.assets.all() == before


def test_what_somebody_wrote_into_a_faulty_asset_is_not_replaced(platform, stores):
    leave(stores, "assets", [{**ASSET, "name": "oven-2", "parent": 5}])
    with pytest.raises(UserError, match="asset oven-2: parent: should be text, not 5"):
        platform.assets.store_assets([Asset(name="oven-2")])
    assert stores.database["assets"].find_one({"name": "oven-2"})["parent"] == 5


def test_a_pair_whose_shelf_is_faulty_cannot_be_shelved_before_somebody_mends_it(platform, stores):
    from alerting.usecases.operators.operate import Actor

    goes_on(platform, 10)
    leave(
        stores, "shelves", [{**SHELF, "until": "tomorrow", "force_key": "too-hot|oven-1|shelved"}]
    )
    with pytest.raises(UserError, match="correct the document"):
        shelve(
            platform,
            "too-hot",
            "oven-1",
            Actor("ann", "engineer"),
            at(11),
            until=at(60),
            reason="a test",
        )


def spoil(stores, collection, where, fields):
    stores.database[collection].update_one(where, {"$set": fields}, bypass_document_validation=True)


REFUSED = {
    "assets": {**ASSET, "variables": {"temperature": {"latency": "soon"}}},
    "event_types": {"name": "stop", "duration": "for ever"},
    "routes": {**ROUTE, "timezone": "x" * 5000},
    "alert_definitions": {**HOT, "title": "x" * 5000},
    "definition_revisions": {**_revision(threshold()), "definition": {**HOT, "kind": "oracle"}},
}


@pytest.mark.server
@pytest.mark.parametrize("collection", REFUSED)
def test_the_server_refuses_rubbish_in_every_collection_that_people_may_edit(real, collection):
    from pymongo.errors import WriteError

    with pytest.raises(WriteError, match="Document failed validation"):
        real.database[collection].insert_one(dict(REFUSED[collection]))


@pytest.mark.server
@pytest.mark.parametrize("variables", [{"a" * 101: {}}, {"a.b": {}}, {"a b": {}}])
def test_the_server_refuses_an_asset_with_variables_of_illegal_names(real, variables):
    from pymongo.errors import WriteError

    with pytest.raises(WriteError, match="Document failed validation"):
        real.database["assets"].insert_one({"name": "oven-1", "variables": variables})


@pytest.mark.server
def test_an_old_database_gets_the_validators_and_keeps_what_stands_in_it(real):
    for collection in REFUSED:
        real.database.command("collMod", collection, validator={}, validationLevel="off")
        real.database[collection].insert_one({"name": "left over", "from": "then"})
    prepare_database(real.database)
    for collection, document in REFUSED.items():
        with pytest.raises(Exception, match="Document failed validation"):
            real.database[collection].insert_one(dict(document))
        assert real.database[collection].count_documents({}) == 1


@pytest.mark.server
@pytest.mark.parametrize("kind", ["revisions", "revisions of models"])
def test_the_dags_of_good_definitions_are_there_whatever_the_other_revisions_hold(
    real, real_server, tmp_path, kind
):
    good = {**MOIST, "name": "good", "schedule": {"every": "7m"}}
    leave(real, "definition_revisions", [_revision(classifier(**good))])
    collection, valid, nested = KINDS[kind]
    leave(real, collection, rubbish(valid, nested).values())
    moist = _revision(classifier(**{**MOIST, "name": "in-force"}))
    leave(
        real,
        collection,
        [moist, {**moist, "number": 2, "definition": {**moist["definition"], "kind": "oracle"}}],
    )

    snapshot = DagSnapshot(real_server, "contracts", tmp_path, 10)

    assert {"good", "in-force"} <= {
        row.definition.name for number in range(SHARDS) for row in snapshot.trained(number)
    }
    assert "7m" in snapshot.cadences()


@pytest.mark.server
def test_a_date_after_the_year_9999_and_half_a_character_stop_no_query(real):
    import bson
    from bson.datetime_ms import DatetimeMS
    from bson.raw_bson import RawBSONDocument

    real.assets.store_assets([oven()])
    broken = bson.encode({"name": "oven-3", "title": "ABCD"}).replace(b"ABCD", b"\xed\xa0\x80D")
    for document in ({"name": "oven-2", "title": DatetimeMS(2**60)}, RawBSONDocument(broken)):
        real.database["assets"].insert_one(document, bypass_document_validation=True)
    assert "oven-1" in {asset.name for asset in real.assets.all()}
    assert real.assets.faulty().keys() >= {"oven-2"}
