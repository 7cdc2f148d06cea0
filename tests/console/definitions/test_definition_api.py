"""Definitions over the REST API: check, apply, states, revisions, diff and restore."""

import json

import pytest
import yaml
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.definitions.revisions import definition_document, flat_changes
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from tests.builders import at, too_hot
from tests.helpers.console.api import ADMIN, TOKENS, VIEWER, episode, expect_problem, read
from tests.helpers.console.often_hot import often_hot
from tests.helpers.console.pages import lacks
from tests.helpers.refusals import lacking
from tests.helpers.stores import audit_entries

URL = "/api/v1/definitions"


def apply_there(client, document, name="too-hot", query="", **headers):
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return client.put(f"{URL}/{name}{query}", json=document, headers=ADMIN | named)


def act(client, what, **body):
    return client.post(f"{URL}/{what}", json=body or None, headers=ADMIN)


def newest_revision(platform, name="too-hot"):
    return platform.definitions.newest_revision(name)


def test_a_list_shows_state_faults_assets_and_how_many_alarms_a_day_each_raised(client, platform):
    platform.episodes.insert(episode(1))
    platform.definitions.mark_faulty("too-moist", ["above: must be a number"])
    hot, moist = read(client, "definitions")
    expected = {
        "name": "too-hot",
        "state": "active",
        "assets": ["oven-1"],
        "champion": None,
        "evaluated_at": None,
        "alarms_per_day": pytest.approx(1 / platform.budget.days),
    }
    assert hot | expected == hot
    assert (moist["state"], moist["faults"]) == ("faulty", ["above: must be a number"])


def test_a_check_names_faults_or_what_applying_would_change_and_writes_nothing(client, platform):
    wrong = {**too_hot(), "abov": 215, "variable": "temprature"}
    del wrong["above"]
    found = client.post(f"{URL}:check", json=wrong, headers=ADMIN).json()
    assert (found["changes"], found["load"]) == ([], None)
    hints = {fault["path"]: fault["hint"] for fault in found["faults"]}
    assert (hints["abov"], "temperature" in hints["variable"]) == ("did you mean above?", True)
    found = client.post(f"{URL}:check", json=too_hot(above=210), headers=ADMIN).json()
    assert (found["faults"], found["action"]) == ([], "changed")
    assert {"field": "above", "before": 215.0, "after": 210.0} in found["changes"]
    assert "too-hot: evaluated every" in str(found["next"])
    assert newest_revision(platform).number == 1


NO_DOCUMENTS = [
        ("application/yaml", "a: 1\na: 2\n", "the key 'a' occurs twice, first in line 1"),
        ("application/yaml", "a: 1\n---\nb: 2\n", "holds 2 documents"),
        ("application/yaml", "- a\n", "holds no fields"),
        ("application/yaml", "1: a\n", "is no name of a field"),
        ("application/yaml", "!!python/object:os.system {}\n", "is not YAML"),
        ("application/yaml", "[" * 60 + "]" * 60, "nested too deeply"),
        ("application/yaml", "a: &a [1,1]\nb: &b [*a,*a]\n" + "".join(
            f"c{i}: &c{i} [{', '.join([f'*c{i - 1}' if i else '*b'] * 9)}]\n" for i in range(9)
        ), "unfolds to more than 20000 values"),
        ("application/json", '{"a": 1, "a": 2}', "the key 'a' occurs twice"),
        ("application/json", '{"a": NaN}', "NaN is no number"),
        ("application/json", '{"a": "\\ud800"}', "U+D800"),
        ("application/json", '{"a": 1' + "0" * 40 + "}", "a number of more than 30 digits"),
        ("application/json", "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("application/json", "{", "is not legal JSON"),
        ("application/json", b"\xff", "is not UTF-8"),
        ("text/plain", "{}", "send one document as application/json or application/yaml"),
    ]  # fmt: skip


def test_a_body_that_is_no_document_is_refused_with_its_fault(client):
    found = {}
    for number, (kind, body, _) in enumerate(NO_DOCUMENTS):
        sent = ADMIN | {"content-type": kind}
        answer = client.post(f"{URL}:check", content=body, headers=sent)
        found[number] = expect_problem(answer, 422)
    assert lacking(found, dict(enumerate(why for *_, why in NO_DOCUMENTS))) == {}


def test_numbers_and_characters_of_json_arrive_as_sent(client, platform):
    document = json.dumps(too_hot(title="Ofen 🔥", above=1e-05))
    assert lacks(document, "\\ud83d", "1e-05") == []
    sent = ADMIN | {"content-type": "application/json", "if-match": '"1"'}
    assert client.put(f"{URL}/too-hot", content=document, headers=sent).status_code == 200
    made = newest_revision(platform).definition
    assert (made.title, made.above) == ("Ofen 🔥", 1e-05)


def test_a_change_is_applied_on_the_revision_it_was_made_from_by_the_person_signed_in(
    client, platform
):
    assert client.get(f"{URL}/too-hot", headers=VIEWER).headers["etag"] == '"1"'
    answer = apply_there(client, too_hot(above=210), query="?reason=too%20late", if_match='"1"')
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    assert answer.json()["changes"]
    made = newest_revision(platform)
    assert (made.number, made.author, made.reason) == (2, "ada", "too late")
    entry = audit_entries(platform)[-1]
    found = (entry["actor"], entry["subject"], entry["why"])
    assert found == ("ada", "too-hot", "too late")
    assert flat_changes(entry["before"], entry["after"]) == {
        "above": (215.0, 210.0),
        "revision": (None, 2),
        "title": ("Oven too hot", None),
    }


def test_a_change_of_an_older_revision_is_refused_with_who_changed_what_since(client, platform):
    apply(platform, [too_hot(above=212)], "ben", at(300), "agreed with the shift")
    detail = expect_problem(apply_there(client, too_hot(above=210), if_match='"1"'), 412)
    told = ("changed by ben at 2026-01-05 05:00 UTC", "agreed with the shift")
    assert lacks(detail, *told, "above: 215.0 → 212.0") == []
    assert newest_revision(platform).definition.above == 212
    assert apply_there(client, too_hot(above=210), if_match='"2"').status_code == 200
    platform.definitions.store_document(too_hot(above=180))  # an edit in the database is one too
    detail = expect_problem(apply_there(client, too_hot(above=210), if_match='"3"'), 412)
    assert "changed by database" in detail
    assert newest_revision(platform).definition.above == 180


def test_of_two_changes_of_one_revision_at_the_same_instant_one_is_refused(platform, client):
    """The second is applied between the check of the first and its revision."""
    definitions = platform.definitions
    store = definitions.store_document
    hit = []

    def store_late(document):
        store(document)
        if document.get("above") == 210 and not hit:
            hit.append(True)
            apply(platform, [too_hot(above=212)], "ben", at(600), "at once")

    definitions.store_document = store_late
    assert "changed by ben" in expect_problem(
        apply_there(client, too_hot(above=210), if_match='"1"'), 412
    )
    assert newest_revision(platform).definition.above == 212
    (document,) = [d for d in definitions.documents() if d["name"] == "too-hot"]
    assert document["above"] == 212


def test_a_change_must_say_what_it_was_made_from(client, platform):
    assert "If-Match" in expect_problem(apply_there(client, too_hot(above=210)), 428)
    expect_problem(apply_there(client, too_hot(above=210), if_match="one"), 422)
    assert newest_revision(platform).number == 1


def test_a_new_definition_is_made_once(client, platform):
    cold = too_hot(name="too-cold", below=150)
    del cold["above"]
    answer = apply_there(client, cold, "too-cold", if_none_match="*")
    assert (answer.status_code, answer.json()["action"]) == (201, "new")
    assert newest_revision(platform, "too-cold").number == 1
    for document in (cold, too_hot()):
        again = apply_there(client, document, document["name"], if_none_match="*")
        expect_problem(again, 412)


def test_a_document_with_faults_or_another_name_is_not_applied(client, platform):
    for document, words in (
        (too_hot(above="much"), "above"),
        (too_hot(name="b"), "another definition"),
    ):
        assert words in expect_problem(apply_there(client, document, if_match='"1"'), 422)
    assert newest_revision(platform).number == 1


def test_a_definition_is_retired_with_its_open_alarms_and_activated_again(client, platform):
    platform.episodes.insert(episode(590, condition="open"))
    retired = act(client, "too-hot:retire", reason="rebuilt").json()
    assert retired == {"name": "too-hot", "state": "retired", "revision": 2}
    made = newest_revision(platform)
    assert (made.author, made.reason) == ("ada", "rebuilt")
    assert platform.episodes.find(open_only=True) == []
    assert "already retired" in expect_problem(act(client, "too-hot:retire"), 422)
    active = act(client, "too-hot:activate")
    assert (active.json()["state"], active.headers["etag"]) == ("active", '"3"')
    assert "already active" in expect_problem(act(client, "too-hot:activate"), 422)
    expect_problem(act(client, "nope:retire"), 404)
    stale = client.post(f"{URL}/too-hot:retire", headers=ADMIN | {"if-match": '"1"'})
    expect_problem(stale, 412)


def test_revisions_are_listed_with_the_document_and_shown_with_their_own(client, platform):
    for number in range(2, 6):
        apply(platform, [too_hot(above=200 + number)], "ben", at(number), f"r{number}")
    revisions = "definitions/too-hot/revisions"
    listed = read(client, "definitions/too-hot")["revisions"]
    assert [one["number"] for one in listed] == [1, 2, 3, 4, 5]
    shown = read(client, f"{revisions}/2")
    assert (shown["reason"], shown["document"]["above"]) == ("r2", 202)
    missing = (f"{revisions}/9", "definitions/nope/revisions/1")
    assert [read(client, path)["status"] for path in missing] == [404, 404]


def test_two_revisions_are_compared_by_field_and_an_earlier_one_is_restored(client, platform):
    apply(platform, [too_hot(above=212, severity="critical")], "ben", at(300), "hotter")
    found = read(client, "definitions/too-hot/diff", **{"from": 1})
    assert (found["from"], found["to"]) == (1, 2)
    assert {one["field"]: (one["before"], one["after"]) for one in found["changes"]} == {
        "above": (215.0, 212.0),
        "severity": (None, "critical"),
        "title": ("Oven too hot", None),
    }
    assert act(client, "too-hot:restore", revision=1).json()["revision"] == 3
    third = newest_revision(platform)
    assert third.definition == platform.definitions.revisions("too-hot")[0].definition
    assert (third.author, third.reason) == ("ada", "revision 1 restored")
    expect_problem(act(client, "too-hot:restore", revision=8), 404)


def test_what_the_api_shows_can_be_applied_unchanged(client, platform):
    document = read(client, "definitions/too-hot")["document"]
    text = yaml.safe_dump(definition_document(newest_revision(platform).definition))
    sent = ADMIN | {"content-type": "application/yaml", "if-match": '"1"'}
    answers = [
        apply_there(client, document, if_match='"1"'),
        client.put(f"{URL}/too-hot", content=text, headers=sent),
    ]
    assert [one.json()["action"] for one in answers] == ["unchanged", "unchanged"]
    assert newest_revision(platform).number == 1


def test_a_change_that_breaks_the_alarm_budget_is_refused_until_someone_says_why():
    narrow = often_hot(per_day=5)
    client = TestClient(create_app(narrow, TOKENS), raise_server_exceptions=False)
    found = client.post(f"{URL}:check", json=too_hot(above=214), headers=ADMIN).json()
    load = found["load"]
    assert (load["breaks_budget"], load["loads"][0]["expected"] > 5) == (True, True)
    refusal = expect_problem(apply_there(client, too_hot(above=214), if_none_match="*"), 422)
    assert "the alarm budget is exceeded" in refusal
    assert newest_revision(narrow) is None
    query = "?accept_load=first%20week"
    accepted = apply_there(client, too_hot(above=214), query=query, if_none_match="*")
    assert accepted.status_code == 201
    assert "first week" in [entry["why"] for entry in audit_entries(narrow)]
