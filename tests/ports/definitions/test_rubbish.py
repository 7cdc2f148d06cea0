"""Documents edited straight in the database: rubbish in one is reported and left out, and the good
ones go on."""

import bson
import pytest
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument
from pymongo.errors import WriteError

from alerting.adapters.airflow.dag_files import DagSnapshot
from alerting.adapters.mongo.prepare import prepare_database
from alerting.definitions.alert_definition import SHARDS
from alerting.definitions.asset_documents import Asset, EventType
from alerting.definitions.faults import UserError
from alerting.ports import ReadingRow, WantedHistory
from alerting.stores.database.documents import to_document
from alerting.usecases.data_upkeep import maintain
from alerting.usecases.definitions import revisions_and_evaluation_plan
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.issue_reports import due_reports
from alerting.usecases.notification.delivery import deliver_due
from tests.builders import at, classifier, oven, revision, threshold, too_hot, too_moist
from tests.in_memory_platform import HandClock, Mailbox, platform_on
from tests.rubbish import NAMES, rubbish

ASSET = to_document(
    oven().model_copy(update={"attributes": {"model": "M-3"}, "parent": "hall", "title": "Oven"})
)
del ASSET["relations"]  # empty here; KINDS fills it
OTHER = oven().model_copy(update={"name": "oven-2"})
TYPE = {"name": "stop", "duration": "lasting"}
ROUTE = {
    "name": "r", "channels": ["mail"], "timezone": "UTC", "match": {"assets": ["*"]},
    "repeat": "1h",
    "quiet": [{"from": "22:00", "to": "06:00"}],
    "escalation": [{"after": "5m", "channels": ["mail"]}], "platform": True,
}  # fmt: skip
MUTE = {
    "definition": "too-hot", "asset": "oven-1", "kind": "plain", "since": at(-60),
    "until": at(600), "reason": "r", "end": at(600), "made_at": at(-60),
    "actor": "w", "version": 1, "notified": [],
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
    "mutes": ("mutes", MUTE, ("notified", "until", "since")),
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


LEFT = {
    kind: [
        {**document, "name": document["name"].replace("rubbish", f"rubbish-{number}")}
        for document in rubbish(valid, nested).values()
    ]
    for number, (kind, (_, valid, nested)) in enumerate(KINDS.items())
}
REFUSED = [
    ("assets", {**ASSET, "variables": {"temperature": {"latency": "soon"}}}),
    *(
        ("assets", {"name": "oven-1", "variables": {name: {}}})
        for name in ("a" * 101, "a.b", "a b")
    ),
    ("event_types", {"name": "stop", "duration": "for ever"}),
    ("routes", {**ROUTE, "timezone": "x" * 5000}),
    ("alert_definitions", {**HOT, "title": "x" * 5000}),
    (
        "definition_revisions",
        {**_revision(threshold()), "definition": {**HOT, "kind": "oracle"}},
    ),
]


@pytest.fixture
def platform(real):
    """A platform that watches one oven, which is too hot, and tells a mailbox."""
    platform = platform_on(real, [Mailbox("mail")], HandClock(at(0)))
    platform.assets.store_assets([oven(), OTHER])
    platform.assets.put_event_types([EventType(name="failure", duration="instant")])
    revisions_and_evaluation_plan.apply(
        platform, [too_hot(), too_moist()], "engineer", at(0), "first"
    )
    platform.routes.store_document({"name": "all", "channels": ["mail"], "platform": True})
    hot = {"temperature": 230.0}
    rows = [ReadingRow(name, at(m), hot) for name in ("oven-1", "oven-2") for m in range(1, 10)]
    add_readings(platform, rows, at(10))
    return platform


def leave(stores, collection, *documents):
    """Write documents past the validator, as a server without one would take them."""
    for document in documents:
        stores.database[collection].insert_one(
            {key: value for key, value in document.items() if key != "_id"},
            bypass_document_validation=True,
        )


def spoil(stores, collection, name, fields):
    stores.database[collection].update_one(
        {"name": name}, {"$set": fields}, bypass_document_validation=True
    )


def goes_on(platform, minute):
    """Do everything that must go on for the good documents; return the names that `list` shows."""
    platform.clock.instant = at(minute)
    evaluate(platform, None, at(minute))
    revisions_and_evaluation_plan.sync(platform, at(minute))
    deliver_due(platform, at(minute))
    maintain(platform, at(minute))
    due_reports(platform, at(minute))
    platform.readings.load(WantedHistory(oven(), None, at(minute)))
    return {revision.name for revision in platform.definitions.latest_revisions()}


def told(platform):
    return {alert.subject for alert in platform.platform_alerts.open() if "faulty" in alert.kind}


def raised_on(platform):
    return {(e.definition, e.asset) for e in platform.episodes.find(open_only=True)}


def share_told(platform, kind):
    """Return which share of the rubbish of a kind is told by name."""
    subjects = "\n".join(told(platform))
    return sum(document["name"] in subjects for document in LEFT[kind]) / len(LEFT[kind])


def test_fifty_kinds_of_rubbish_in_every_document_stop_nothing_and_are_told_by_name(platform, real):
    for kind, (collection, _, _) in KINDS.items():
        leave(real, collection, *LEFT[kind])
    for collection, valid in {name: valid for name, valid, _ in KINDS.values()}.items():
        if collection != "mutes":
            leave(real, collection, *({**valid, "name": name} for name in NAMES.values()))
            leave(real, collection, {key: value for key, value in valid.items() if key != "name"})
    names = goes_on(platform, 10)
    assert {"too-hot", "too-moist"} <= names
    assert ("too-hot", "oven-1") in raised_on(platform)
    assert any("too-hot" in str(message) for message in platform.channels["mail"].messages)
    shares = {kind: share_told(platform, kind) for kind in KINDS}
    assert shares.pop("mutes") >= 0.4
    assert min(shares.values()) >= 0.8, shares
    assert goes_on(platform, 11) == names, "the second time it is as the first"


def test_the_target_of_a_malformed_asset_is_left_out_until_its_document_is_mended(platform, real):
    revisions_and_evaluation_plan.apply(
        platform, [too_hot(assets=["oven-1", "oven-2"])], "engineer", at(0), "both"
    )
    endless = {"variables": {"temperature": {"latency": "99999999999999d"}}}
    spoil(real, "assets", "oven-2", endless)
    goes_on(platform, 10)
    assert raised_on(platform) == {("too-hot", "oven-1")}
    assert "assets/oven-2" in told(platform)
    [reason] = platform.definitions.faulty()["too-hot"]
    assert "the document of asset 'oven-2' is faulty" in reason
    spoil(real, "assets", "oven-1", {"variables": "none"})
    goes_on(platform, 12)
    assert raised_on(platform) == {("too-hot", "oven-1")}, "its open episode stays open"
    for name in ("oven-1", "oven-2"):
        real.database["assets"].replace_one({"name": name}, {**ASSET, "name": name})
    goes_on(platform, 13)
    assert told(platform) == set()


def test_an_asset_that_no_longer_states_a_limit_is_left_out(platform, real):
    limited = [one.model_copy(update={"attributes": {"max": 200.0}}) for one in (oven(), OTHER)]
    platform.assets.store_assets(limited)
    by_asset = too_hot(assets=["oven-*"], above={"attribute": "max"})
    revisions_and_evaluation_plan.apply(platform, [by_asset], "engineer", at(0), "per asset")
    spoil(real, "assets", "oven-2", {"attributes": {"max": "hot"}})
    goes_on(platform, 10)
    assert raised_on(platform) == {("too-hot", "oven-1")}
    assert "too-hot" in told(platform)


def test_the_last_valid_revision_stays_in_force_where_the_newest_one_is_of_an_unknown_kind(
    platform, real
):
    newest = {**_revision(threshold()), "number": 2}
    leave(
        real,
        "definition_revisions",
        {**newest, "definition": {**newest["definition"], "kind": "oracle"}},
    )
    goes_on(platform, 10)
    assert {r.name: r.number for r in platform.definitions.latest_revisions()}["too-hot"] == 1
    assert raised_on(platform) == {("too-hot", "oven-1")}
    assert any(subject.startswith("definition_revisions/too-hot") for subject in told(platform))
    [plan] = revisions_and_evaluation_plan.apply(
        platform, [too_hot(above=220)], "engineer", at(11), "a new one"
    )
    assert (plan.action, platform.definitions.latest_revisions()[0].number) == ("changed", 3), (
        "a number is never given twice"
    )


def test_a_revision_whose_limit_was_altered_in_database_is_followed_by_one_of_current_document(
    platform, real
):
    spoil(real, "definition_revisions", "too-hot", {"definition.above": 500.0})
    made = [
        [r.number for r in revisions_and_evaluation_plan.sync(platform, at(minute)).new]
        for minute in (1, 2)
    ]
    assert made == [[2], []]
    assert platform.definitions.newest_revision("too-hot").definition.above == too_hot()["above"]


def test_nothing_is_written_that_could_not_be_read_again_nor_over_what_is_faulty(platform, real):
    spoil(real, "assets", "oven-2", {"parent": 5})
    before = platform.assets.all()
    long = oven().model_copy(update={"title": "x" * 5000})
    stop = EventType.model_construct(name="stop", duration="for ever")
    faulty = "asset oven-2: parent: should be text, not 5"
    for store, documents, words in (
        (platform.assets.store_assets, [Asset(name="oven-3"), long], "title: has 5000 characters"),
        (platform.assets.put_event_types, [stop], "duration"),
        (platform.assets.store_assets, [Asset(name="oven-2")], faulty),
    ):
        with pytest.raises(UserError, match=words):
            store(documents)
    assert platform.assets.all() == before
    assert real.database["assets"].find_one({"name": "oven-2"})["parent"] == 5


def test_rubbish_is_refused_in_every_collection_that_people_may_edit_also_of_an_old_database(real):
    def taken():
        found = []
        for collection, document in REFUSED:
            try:
                real.database[collection].insert_one(dict(document))
                found.append((collection, document))
            except WriteError as error:
                assert "Document failed validation" in str(error)
        return found

    assert taken() == []
    collections = {collection for collection, _ in REFUSED}
    for collection in collections:
        real.database.command("collMod", collection, validator={}, validationLevel="off")
        real.database[collection].insert_one({"name": "left over", "from": "then"})
    prepare_database(real.database)
    assert taken() == []
    counts = {name: real.database[name].count_documents({}) for name in collections}
    assert counts == dict.fromkeys(collections, 1)


def test_the_dags_of_good_definitions_are_there_whatever_the_other_revisions_hold(
    real, real_server, tmp_path
):
    moist = _revision(classifier(**{**MOIST, "name": "in-force"}))
    leave(
        real,
        "definition_revisions",
        _revision(classifier(**{**MOIST, "name": "good", "schedule": {"every": "7m"}})),
        *LEFT["revisions"],
        *LEFT["revisions of models"],
        moist,
        {**moist, "number": 2, "definition": {**moist["definition"], "kind": "oracle"}},
    )
    snapshot = DagSnapshot(real_server, "contracts", tmp_path, 10)
    trained = [row.definition.name for n in range(SHARDS) for row in snapshot.trained(n)]
    assert {"good", "in-force"} <= {*trained}
    assert "7m" in snapshot.cadences()


def test_a_date_after_the_year_9999_and_half_a_character_stop_no_query(real):
    real.assets.store_assets([oven()])
    broken = bson.encode({"name": "oven-3", "title": "ABCD"}).replace(b"ABCD", b"\xed\xa0\x80D")
    for document in ({"name": "oven-2", "title": DatetimeMS(2**60)}, RawBSONDocument(broken)):
        real.database["assets"].insert_one(document, bypass_document_validation=True)
    assert "oven-1" in {asset.name for asset in real.assets.all()}
    assert "oven-2" in {one.name for one in real.assets.read_all()[1]}
