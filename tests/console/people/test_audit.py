"""Every kind of write is in the audit: who, from where, before and after, on the page, by the
command, in the API and in the export."""

import re

import pytest

from alerting.operators.account_rules import JOINED
from alerting.ports import AuditFilter
from alerting.stores.database.documents import SCHEMA
from alerting.usecases.access.accounts import make_link, register_services
from alerting.usecases.data_upkeep import retain
from alerting.usecases.notification.muting_and_summaries import tend_mutes
from tests.builders import at, too_hot
from tests.helpers.console.audited_plant import ACCOUNT, AuditedPlant
from tests.helpers.console.pages import lacks
from tests.helpers.console.people import PASSWORD, browser_of, sign_in
from tests.helpers.databases import empty_database
from tests.helpers.episodes import episode
from tests.helpers.streamed_messages import SOURCE

BOSS = ("boss", "console 10.0.0.7")
PROGRAM = ("ada", "console 10.0.0.9")
COMMAND = (ACCOUNT, "command")
MAIL = ("mail (by link)", "console 10.0.0.7")
MONGODB = ("MongoDB", "MongoDB")
PLATFORM = ("platform", "platform")
NEW = {"password": "another long password", "again": "another long password"}
ROUTE = {"name": "shift", "channels": ["mail"]}
ROW = {"ts": "2026-01-05T02:00:00Z", "asset": "oven-9", "values": {"temperature": 1.5}}
LINE = {"name": "oven-1", "title": "Oven one"}


E = episode(590).id
PAGE = f"/episodes/{E}"
TARGET = {"definition": "too-hot", "asset": "oven-1"}


@pytest.fixture
def new_plant(monkeypatch, tmp_path, real):
    """Return a function that empties the database and returns a plant on it."""

    def make():
        empty_database(real.database, {SCHEMA})
        return AuditedPlant(monkeypatch, tmp_path, real)

    return make


@pytest.fixture
def plant(new_plant):
    return new_plant()


def in_turn(*writes):
    return lambda plant: [write(plant) for write in writes]


def post(path, page="/account", **data):
    return lambda plant: plant.post(path, page, **data)


def change(what, **data):
    return post("/access/people/anna", what=what, **data)


def on_page(path, **data):
    return post(f"{PAGE}/{path}", PAGE, **data)


def act(path, **body):
    return lambda plant: plant.send(f"/episodes/{E}/{path}", **body)


def apply_document(*words, document):
    return lambda plant: plant.run(*words, plant.file(document))


def edit(collection, name, **fields):
    return lambda plant: plant.edit(collection, name, **fields)


APPLY_ROUTE = apply_document("apply", document=ROUTE)
APPLY_SOURCE = apply_document("apply", document=SOURCE)


def end_session(plant):
    plant.browser("anna")
    key = next(s.key for s in plant.platform.sessions.all(plant.wall()) if s.account == "anna")
    plant.post(f"/access/sessions/{key}/end")


def sign_out(plant):
    plant.post("/logout")
    sign_in(plant.boss, "boss")


def set_password(plant):
    code = make_link(plant.platform, "anna", "boss", plant.wall())
    browser_of(plant.app, "10.0.0.8").post(f"/password/{code}", data=NEW)


def own_password(plant):
    plant.wall.instant += JOINED
    plant.post("/account/password", old=PASSWORD, **NEW)


def mute_is_over(plant):
    plant.mute()
    plant.platform.clock.instant = at(900)
    tend_mutes(plant.platform, at(900))


def import_readings(plant):
    path = plant.folder / "readings.csv"
    path.write_text("time,asset,temperature\n2026-01-05T02:00:00Z,oven-1,210\n", encoding="utf-8")
    plant.run("import", "readings", path)


def remove_in_mongodb(plant):
    plant.stores.database["routes"].delete_one({"name": "shift"})
    plant.upkeep()


def add_in_mongodb(plant):
    document = {"name": "stop", "duration": "lasting"}
    plant.stores.database["event_types"].insert_one(document)
    plant.upkeep()


# name: the write, its action, actor and origin, and what stands in the changes
WRITES = {
    "page: sign in": (lambda plant: None, "signed in", BOSS, "address: - -> 10.0.0.7"),
    "page: sign out": (sign_out, "signed out", BOSS, ""),
    "page: add a person": (
        post("/access/people", name="carl", role="operator"),
        "person added",
        BOSS,
        "role: - -> operator",
    ),
    "page: role": (change("role", role="viewer"), "person changed", BOSS, "operator -> viewer"),
    "page: disable": (change("disable"), "account disabled", BOSS, "disabled_at: - -> 20"),
    "page: link": (change("link"), "link made", BOSS, "link_ends: - -> 20"),
    "page: remove": (change("remove"), "person removed", BOSS, "role: operator -> -"),
    "page: make a token": (
        post("/access/tokens", name="gateway", owner="boss", role="sender", days="30"),
        "token made",
        BOSS,
        "role: - -> sender",
    ),
    "page: revoke a token": (
        lambda plant: plant.post(f"/access/tokens/{plant.token()}/revoke"),
        "token revoked",
        BOSS,
        "role: sender -> -",
    ),
    "API: make a token": (AuditedPlant.token, "token made", PROGRAM, "name: - -> gateway"),
    "API: revoke a token": (
        lambda plant: plant.send(f"/tokens/{plant.token()}", "delete"),
        "token revoked",
        PROGRAM,
        "name: gateway -> -",
    ),
    "page: end a session": (end_session, "session ended", BOSS, "address: 10.0.0.8 -> -"),
    "page: password by link": (
        set_password,
        "password set",
        ("anna", "console 10.0.0.8"),
        "link_ends: 20",
    ),
    "page: own password": (
        own_password,
        "password set",
        BOSS,
        "sessions_from: 20",
    ),
    "page: preferences": (
        post("/account/preferences", language="de", zone=""),
        "preferences changed",
        BOSS,
        "language: - -> de",
    ),
    "page: acknowledge": (on_page("ack"), "acknowledge", BOSS, "unacknowledged -> acknowledged"),
    "page: mute": (
        on_page("mute", lasting="2h", reason="repair"),
        "muted",
        BOSS,
        "until: - -> 2026-01-05T12:00:00",
    ),
    "page: prolong a mute": (
        lambda plant: plant.post(f"/mutes/{plant.mute()}/prolong", lasting="1h"),
        "mute prolonged",
        BOSS,
        "until: 2026-01-05T12:00:00+00:00 -> 2026-01-05T13:00:00",
    ),
    "page: end a mute": (
        lambda plant: plant.post(f"/mutes/{plant.mute()}/end"),
        "mute ended",
        BOSS,
        "2026-01-05T12:00:00+00:00 -> -",
    ),
    "page: feedback": (
        on_page("feedback", verdict="false_alarm"),
        "feedback",
        BOSS,
        "verdict: - -> false_alarm",
    ),
    "page: miss": (
        post("/misses", **TARGET, at="2026-01-05T03:00"),
        "miss reported",
        BOSS,
        "- -> 2026-01-05T03:00:00",
    ),
    "page: dead letters": (
        in_turn(AuditedPlant.letter, post("/dead-letters/retry", id="all")),
        "delivery tried again",
        BOSS,
        "status: dead -> pending",
    ),
    "page: dead messages": (
        in_turn(AuditedPlant.dead_message, post("/sources/line/retry", "/sources/line")),
        "dead messages tried again",
        BOSS,
        "dead: 1 -> 0",
    ),
    "page: test a route": (
        in_turn(APPLY_ROUTE, post("/routes/shift/test")),
        "test message sent",
        BOSS,
        "mail: - -> sent",
    ),
    "API: acknowledge": (act("ack"), "acknowledge", PROGRAM, "unacknowledged -> acknowledged"),
    "API: comment": (act("comment", comment="leak"), "comment", PROGRAM, "comment: - -> leak"),
    "API: assign": (act("assign", to="bob"), "assign", PROGRAM, "assigned_to: - -> bob"),
    "API: confirm": (act("confirm", action="cooled"), "confirm", PROGRAM, "state: "),
    "API: feedback": (
        act("feedback", verdict="true_alarm"),
        "feedback",
        PROGRAM,
        "verdict: - -> true_alarm",
    ),
    "API: mute": (AuditedPlant.mute, "muted", PROGRAM, "until: - -> 2026-01-05T12:00:00"),
    "API: readings of a new asset": (
        lambda plant: plant.send("/readings", **ROW),
        "declared by data",
        PROGRAM,
        "oven-9",
    ),
    "mail: acknowledge": (
        lambda plant: plant.follow(0),
        "acknowledge",
        MAIL,
        "unacknowledged -> acknowledged",
    ),
    "mail: feedback": (lambda plant: plant.follow(1), "feedback", MAIL, "- -> true_alarm"),
    "command: apply a definition": (
        apply_document("apply", document=too_hot(above=220)),
        "definition applied",
        COMMAND,
        "above: 215.0 -> 220.0",
    ),
    "command: apply a route": (
        APPLY_ROUTE,
        "route applied",
        COMMAND,
        'channels: - -> ["mail"]',
    ),
    "command: apply a source": (
        APPLY_SOURCE,
        "source applied",
        COMMAND,
        "kind: - -> mqtt",
    ),
    "command: dead messages": (
        in_turn(AuditedPlant.dead_message, lambda plant: plant.run("retry", "line")),
        "dead messages tried again",
        COMMAND,
        "dead: 1 -> 0",
    ),
    "command: import assets": (
        apply_document("import", "assets", document=LINE),
        "asset imported",
        COMMAND,
        "title: - -> Oven one",
    ),
    "command: import readings": (import_readings, "readings imported", COMMAND, "rows: - -> 1"),
    "MongoDB: definition": (
        edit("alert_definitions", "too-hot", above=230),
        "definition changed",
        MONGODB,
        "above: 215.0 -> 230",
    ),
    "MongoDB: faulty definition": (
        edit("alert_definitions", "too-hot", above="hot"),
        "definition changed",
        MONGODB,
        "above: 215.0 -> hot",
    ),
    "MongoDB: asset": (
        edit("assets", "oven-1", title="Oven one"),
        "asset changed",
        MONGODB,
        "title: - -> Oven one",
    ),
    "MongoDB: route": (
        in_turn(APPLY_ROUTE, edit("routes", "shift", channels=["mail", "pager"])),
        "route changed",
        MONGODB,
        'channels: ["mail"] -> ["mail", "pager"]',
    ),
    "MongoDB: source": (
        in_turn(APPLY_SOURCE, edit("sources", "line", state="paused")),
        "source changed",
        MONGODB,
        "state: - -> paused",
    ),
    "MongoDB: route removed": (
        in_turn(APPLY_ROUTE, remove_in_mongodb),
        "route removed",
        MONGODB,
        'channels: ["mail"] -> -',
    ),
    "MongoDB: event type added": (
        add_in_mongodb,
        "event type added",
        MONGODB,
        "duration: - -> lasting",
    ),
    "platform: end of a mute": (
        mute_is_over,
        "mute ended",
        PLATFORM,
        "2026-01-05T12:00:00+00:00 -> -",
    ),
    "platform: faulty definition": (
        edit("alert_definitions", "too-hot", above="hot"),
        "definition is faulty; its last valid revision stays in force",
        PLATFORM,
        "above",
    ),
    "platform: service of the tokens file": (
        lambda plant: register_services(plant.platform, {"gateway-9": "sender"}, plant.wall()),
        "service added",
        PLATFORM,
        "role: - -> sender",
    ),
}


def test_each_write_is_found_with_before_and_after_by_page_command_api_and_export(new_plant):
    wrong = {}
    for name, (write, what, by, changed) in WRITES.items():
        plant = new_plant()
        write(plant)
        entry, changes, page = plant.found(what)
        values = [value.strip("- ") for value in re.split(r" -> |: |^-$", changed)]
        missing = lacks(page.replace("&#34;", '"'), *values)
        if (entry["actor"], entry["origin"]) != by or changed not in changes or missing:
            wrong[name] = (entry, changes, missing)
    assert wrong == {}


def test_an_edit_in_mongodb_is_audited_once_and_so_is_its_undoing(plant):
    plant.edit("assets", "oven-1", title="Oven one")
    plant.edit("assets", "oven-1", title="Oven two")
    plant.edit("assets", "oven-1", title="Oven one")
    found = plant.platform.audit.find(AuditFilter(actor="MongoDB"), 9)
    assert [(e.before.get("title"), e.after["title"]) for e in found] == [
        ("Oven two", "Oven one"),
        ("Oven one", "Oven two"),
        (None, "Oven one"),
    ]


# Refusals


def entries(plant, **wanted):
    return plant.platform.audit.find(AuditFilter(**wanted), 100)


def test_a_refusal_is_audited_with_the_person_or_address_and_no_secret(plant):
    stranger = browser_of(plant.app, "10.9.9.9")
    assert sign_in(stranger, "anna", "my secret guess").status_code == 401
    stranger.post("/login", data={"token": "a-secret-token"})
    [entry] = entries(plant, actor="unknown at 10.9.9.9")
    assert (entry.what, entry.subject, entry.after["count"]) == ("sign-in refused", "anna", 1)
    anna = plant.browser("anna")
    answers = [
        anna.get("/access"),
        plant.boss.post("/logout", data={"csrf": "wrong"}),
        browser_of(plant.app).get("/password/very-secret-code"),
    ]
    assert [answer.status_code for answer in answers] == [403, 403, 410]
    found = [(entry.actor, entry.subject) for entry in entries(plant, what="request refused")]
    assert found == [
        ("unknown at 10.0.0.7", "GET /password/…"),
        ("boss", "POST /logout"),
        ("anna", "GET /access"),
    ]
    assert "secret" not in str(entries(plant))


def test_what_is_counted_is_stored_when_the_console_stops(plant):
    with browser_of(plant.app, "10.9.9.9") as stranger:
        for _ in range(3):
            stranger.get("/api/v1/episodes")
    found = entries(plant, actor="unknown at 10.9.9.9")
    assert sorted(entry.after["count"] for entry in found) == [1, 2]


# Append-only


def test_only_retention_deletes_entries_none_before_its_time_and_says_so(plant):
    plant.platform.audit.add("old", "of before", "old", at(0).replace(year=2020))
    before = entries(plant)
    now = plant.platform.clock.now()
    retain(plant.platform, now, True, ACCOUNT)
    assert entries(plant) == before
    retain(plant.platform, now, False, ACCOUNT)
    after = entries(plant)
    assert [entry.actor for entry in before if entry not in after] == ["old"]
    entry, changes, _ = plant.found("old documents deleted")
    assert (entry["actor"], changes) == (ACCOUNT, "documents.audit: 1 -> -")
