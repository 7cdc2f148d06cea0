"""Changes of a route over the API and on its page: checked, applied by content, removed."""

import pytest

from alerting.usecases.notification.routes import apply_routes
from tests.builders import at
from tests.helpers.console.api import ADMIN, VIEWER
from tests.helpers.console.forms import expect_detail, fields_of
from tests.helpers.console.pages import ADMIN_TOKEN, csrf_of, log_in
from tests.helpers.stores import audit_entries
from tests.in_memory_platform import Mailbox, in_memory_platform

URL = "/api/v1/routes"
EDIT = "/routes/night/edit"


@pytest.fixture
def platform():
    made = in_memory_platform(Mailbox("log"))
    apply_routes(made, [{"name": "night", "channels": ["log"]}], "ann", at(0))
    made.clock.instant = at(600)
    return made


def tag_of(client, name="night"):
    return client.get(f"{URL}/{name}", headers=ADMIN).headers["etag"]


def test_a_check_names_an_unknown_channel_and_its_place_and_writes_nothing(client, platform):
    wrong = {"name": "night", "channels": ["lag"], "repeat": "10s"}
    found = client.post(f"{URL}:check", json=wrong, headers=ADMIN).json()
    assert [fault["path"] for fault in found["faults"]] == ["repeat"]
    found = client.post(f"{URL}:check", json=wrong | {"repeat": "10m"}, headers=ADMIN).json()
    assert found["faults"][0]["path"] == "channels.0"
    assert found["faults"][0]["hint"] == "did you mean log?"
    found = client.post(
        f"{URL}:check", json=wrong | {"channels": ["log"], "repeat": "10m"}, headers=ADMIN
    )
    assert found.json()["changes"] == [{"field": "repeat", "before": None, "after": "10m"}]
    assert platform.routes.documents() == [{"name": "night", "channels": ["log"]}]


def test_a_route_is_applied_from_the_content_that_was_read_and_removed(client, platform):
    tag = tag_of(client)
    changed = {"channels": ["log"], "platform": True}
    answer = client.put(
        f"{URL}/night?reason=also+faults", json=changed, headers=ADMIN | {"if-match": tag}
    )
    assert (answer.status_code, answer.json()["action"]) == (200, "changed")
    again = client.put(f"{URL}/night", json=changed, headers=ADMIN | {"if-match": tag})
    expect_detail(again, 412, "was changed by")
    refused = client.delete(f"{URL}/night", headers=ADMIN | {"if-match": tag})
    expect_detail(refused, 412, "was changed by")
    new = {"channels": ["log"]}
    made = client.put(f"{URL}/day", json=new, headers=ADMIN | {"if-none-match": "*"})
    assert made.status_code == 201
    gone = client.delete(
        f"{URL}/day?reason=over", headers=ADMIN | {"if-match": tag_of(client, "day")}
    )
    assert gone.status_code == 204
    expect_detail(client.get(f"{URL}/day", headers=ADMIN), 404, "no route")
    last = [(e["what"], e["subject"], e["why"]) for e in audit_entries(platform)][-3:]
    assert last == [
        ("route applied", "night", "also faults"),
        ("route applied", "day", "applied through the API"),
        ("route removed", "day", "over"),
    ]
    expect_detail(client.get(f"{URL}/night", headers=VIEWER), 403)


def test_a_faulty_route_is_shown_corrected_or_removed_and_stops_no_other(browser, platform):
    platform.routes.store_document({"name": "broken", "channels": "log", "password": "x"})
    log_in(browser, ADMIN_TOKEN)
    page = browser.get("/routes")
    assert "route-night" in page.text
    assert 'href="/routes/broken/edit"' in page.text
    fields = fields_of(browser.get("/routes/broken/edit").text)
    fixed = {"csrf": fields["csrf"], "tag": fields["tag"], "text": "name: broken\nchannels: [log]"}
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
    page = browser.get("/routes")
    tag = page.text.partition('name="tag" value="')[2].partition('"')[0]
    sent = {"csrf": csrf_of(page), "reason": "over"}
    assert browser.post("/routes/night/remove", data={**sent, "tag": "0" * 16}).status_code == 412
    assert browser.post("/routes/night/remove", data={**sent, "tag": tag}).status_code == 303
    assert platform.routes.documents() == []
