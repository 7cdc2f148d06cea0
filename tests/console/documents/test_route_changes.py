"""Changes of a route over the API and on its page: checked, applied by revision, restored,
removed."""

import pytest

from alerting.usecases.notification.routing import ROUTES
from tests.builders import at
from tests.helpers.console.api import ADMIN
from tests.helpers.console.forms import expect_detail, fields_of
from tests.helpers.console.pages import ADMIN_TOKEN, csrf_of, lacks, log_in
from tests.helpers.stores import audit_entries
from tests.in_memory_platform import Mailbox, in_memory_platform

URL = "/api/v1/routes"
EDIT = "/routes/night/edit"


@pytest.fixture
def platform():
    made = in_memory_platform(Mailbox("log"))
    ROUTES.apply(made, [{"name": "night", "channels": ["log"]}], "ann", at(0))
    made.clock.instant = at(600)
    return made


def tag_of(client, name="night"):
    return client.get(f"{URL}/{name}", headers=ADMIN).headers["etag"]


def test_a_check_names_an_unknown_channel_and_its_place_and_writes_nothing(client, platform):
    def checked(**fields):
        document = {"name": "night", "channels": ["log"], **fields}
        return client.post(f"{URL}:check", json=document, headers=ADMIN).json()

    found = checked(channels=["lag"], repeat="10s")
    assert [fault["path"] for fault in found["faults"]] == ["repeat"]
    [fault] = checked(channels=["lag"], repeat="10m")["faults"]
    assert (fault["path"], fault["hint"]) == ("channels.0", "did you mean log?")
    change = {"field": "repeat", "before": None, "after": "10m"}
    assert checked(repeat="10m")["changes"] == [change]
    assert platform.routes.documents() == [{"name": "night", "channels": ["log"]}]


def test_a_route_is_applied_from_the_content_that_was_read_and_removed(client, platform):
    def apply_at(name, document, **match):
        headers = ADMIN | {key.replace("_", "-"): value for key, value in match.items()}
        return client.put(f"{URL}/{name}?reason=also+faults", json=document, headers=headers)

    tag = tag_of(client)
    changed = {"channels": ["log"], "platform": True}
    answer = apply_at("night", changed, if_match=tag)
    assert (answer.status_code, answer.json()["action"]) == (200, "changed")
    refused = client.delete(f"{URL}/night", headers=ADMIN | {"if-match": tag})
    for late in (apply_at("night", changed, if_match=tag), refused):
        expect_detail(late, 412, "was changed by")
    assert apply_at("day", {"channels": ["log"]}, if_none_match="*").status_code == 201
    match = {"if-match": tag_of(client, "day")}
    gone = client.delete(f"{URL}/day?reason=over", headers=ADMIN | match)
    assert gone.status_code == 204
    expect_detail(client.get(f"{URL}/day", headers=ADMIN), 404, "no route")
    last = [(e["what"], e["subject"], e["why"]) for e in audit_entries(platform)][-3:]
    assert last == [
        ("route applied", "night", "also faults"),
        ("route applied", "day", "also faults"),
        ("route removed", "day", "over"),
    ]


def test_a_faulty_route_is_shown_corrected_or_removed_and_stops_no_other(browser, platform):
    platform.routes.store_document({"name": "broken", "channels": "log", "password": "x"})
    log_in(browser, ADMIN_TOKEN)
    page = browser.get("/routes")
    assert "route-night" in page.text
    assert 'href="/routes/broken"' in page.text
    assert 'href="/routes/broken/edit"' in browser.get("/routes/broken").text
    fields = fields_of(browser.get("/routes/broken/edit").text)
    fixed = {key: fields[key] for key in ("csrf", "revision")} | {
        "text": "name: broken\nchannels: [log]"
    }
    assert browser.post("/routes/broken/edit", data={**fixed, "do": "apply"}).status_code == 303
    assert platform.routes.documents()[0] == {"name": "broken", "channels": ["log"]}


def test_a_route_is_edited_as_a_form_and_removed_on_its_page(browser, platform):
    log_in(browser, ADMIN_TOKEN)
    fields = fields_of(browser.get(EDIT).text)
    assert fields["L:channels"] == "log"
    page = browser.post(EDIT, data={**fields, "do": "add:escalation"})
    fields = fields_of(page.text) | {
        "S:escalation.0.after": "15m",
        "L:escalation.0.channels": "log",
        "reason": "nobody answered",
    }
    assert browser.post(EDIT, data={**fields, "do": "apply"}).status_code == 303
    (stored,) = platform.routes.documents()
    assert stored["escalation"] == [{"after": "15m", "channels": ["log"]}]
    page = browser.get("/routes/night?from=1&to=2")
    shown = ("nobody answered", "<code>escalation</code>", "Restore revision 1")
    assert lacks(page.text, *shown) == []
    sent = {"csrf": csrf_of(page), "reason": "over", "revision": "2"}
    assert browser.post("/routes/night/restore", data={**sent, "number": "1"}).status_code == 303
    assert platform.routes.documents() == [{"name": "night", "channels": ["log"]}]
    assert browser.post("/routes/night/remove", data=sent).status_code == 412
    sent["revision"] = "3"
    assert browser.post("/routes/night/remove", data=sent).status_code == 303
    assert platform.routes.documents() == []


def test_a_route_of_before_it_had_revisions_is_changed_from_its_first(client, platform):
    platform.routes.store_document({"name": "old", "channels": ["log"]})
    assert platform.routes.revisions("old") == []
    found = client.get(f"{URL}/old", headers=ADMIN)
    assert (found.headers["etag"], found.json()["revisions"][0]["actor"]) == ('"1"', "database")
    headers = ADMIN | {"if-match": '"1"'}
    answer = client.put(f"{URL}/old", json={"channels": ["log"], "repeat": "1h"}, headers=headers)
    assert (answer.status_code, answer.json()["revision"]) == (200, 2)
    changed = client.get(f"{URL}/old/diff?from=1", headers=ADMIN).json()["changes"]
    assert changed == [{"field": "repeat", "before": None, "after": "1h"}]
    body = {"revision": 1, "reason": "as it was"}
    assert client.post(f"{URL}/old:restore", json=body, headers=ADMIN).json()["revision"] == 3
    last = client.get(f"{URL}/old/revisions/3", headers=ADMIN).json()
    assert (last["reason"], last["document"]) == ("as it was", {"name": "old", "channels": ["log"]})
