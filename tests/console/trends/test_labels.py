"""Marks on the page of a trend and over the API, and the page of two variables."""

import re
from html import unescape

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from tests.builders import at
from tests.helpers.console.api import ADMIN, OPERATOR, TOKENS, VIEWER
from tests.helpers.console.pages import ADMIN_TOKEN, log_in
from tests.helpers.console.trends import TREND, swinging  # noqa: F401 - a fixture

FORM = {
    "asset": "oven-1",
    "variable": ["temperature"],
    "start": "2026-01-05T02:00:00",
    "end": "2026-01-05T02:30:00",
    "kind": "bad",
    "whole": "",
    "reason": "probe replaced",
    "back": f"{TREND}&span=8h",
}
BODY = {
    "asset": "oven-1",
    "variables": ["temperature"],
    "start": at(120).isoformat(),
    "end": at(150).isoformat(),
    "kind": "bad",
    "reason": "probe replaced",
}


@pytest.fixture
def console(swinging):  # noqa: F811
    made = TestClient(create_app(swinging, TOKENS, now=lambda: at(600)), follow_redirects=False)
    log_in(made, ADMIN_TOKEN)
    return made


def send(console, path, **fields):
    page = console.get(TREND).text
    csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', page)[1]
    return console.post(path, data={"csrf": csrf, **fields})


def test_a_time_is_marked_by_the_form_and_undone(console, swinging):  # noqa: F811
    answer = send(console, "/trends/labels", **FORM)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/trends?asset=oven-1&variable=temperature")
    assert "span=8h" in answer.headers["location"]
    (label,) = swinging.labels.in_force(["oven-1"], None)
    assert (label.start, label.end, label.variables) == (at(120), at(150), ("temperature",))

    page = unescape(console.get(f"{TREND}&span=8h").text)
    assert "probe replaced" in page
    lanes = page.split('<figure class="chart lane-of"')[1:]
    assert ["marked-bad" in lane.split("</figure>")[0] for lane in lanes] == [True, False]
    assert 'class="bad"' in lanes[0]
    assert send(console, f"/trends/labels/{label.id}/undo", back=FORM["back"]).status_code == 303
    assert swinging.labels.in_force(["oven-1"], None) == []
    assert "probe replaced" not in console.get(f"{TREND}&span=8h").text


def test_a_refused_mark_is_shown_with_what_was_typed(console, swinging):  # noqa: F811
    answer = send(console, "/trends/labels", **{**FORM, "reason": "  ", "whole": "1"})
    assert answer.status_code == 422
    page = unescape(answer.text)
    assert "reason is needed" in page
    assert 'value="2026-01-05T02:00:00"' in page
    assert re.search(r'name="kind" value="bad" required checked', page)
    assert re.search(r'name="whole" value="1" checked', page)
    assert send(console, "/trends/labels", **{**FORM, "kind": "ugly"}).status_code == 422
    assert send(console, "/trends/labels", **{**FORM, "start": "soon"}).status_code == 422
    assert swinging.labels.in_force(["oven-1"], None) == []


def test_labels_over_the_api(console):
    console.cookies.clear()
    made = console.post("/api/v1/labels", headers=ADMIN, json=BODY)
    assert made.status_code == 200
    assert console.post("/api/v1/labels", headers=ADMIN, json=BODY).json() == made.json()
    assert console.post("/api/v1/labels", headers=OPERATOR, json=BODY).status_code == 403
    other = {**BODY, "kind": "not_to_learn_from", "variables": []}
    second = console.post("/api/v1/labels", headers=ADMIN, json=other).json()
    first = console.get("/api/v1/labels?asset=oven-1&limit=1", headers=VIEWER).json()
    rest = console.get(
        f"/api/v1/labels?asset=oven-1&limit=1&cursor={first['next']}", headers=VIEWER
    ).json()
    assert {one["id"] for one in (*first["items"], *rest["items"])} == {
        made.json()["id"],
        second["id"],
    }
    assert rest["next"] is None
    undone = console.post(f"/api/v1/labels/{second['id']}:undo", headers=ADMIN).json()
    assert undone["undone_by"]
    shown = console.get(
        "/api/v1/series",
        params={
            "asset": "oven-1",
            "variable": "temperature",
            "start": at(0).isoformat(),
            "end": at(200).isoformat(),
        },
        headers=VIEWER,
    ).json()["series"][0]
    assert shown["bad"] == [[at(120).timestamp(), at(150).timestamp()]]
    for path, body, status in (
        ("/api/v1/labels", {**BODY, "asset": "oven-9"}, 404),
        ("/api/v1/labels", {**BODY, "variables": ["no"]}, 404),
        ("/api/v1/labels", {**BODY, "end": BODY["start"]}, 422),
        ("/api/v1/labels", {**BODY, "kind": "ugly"}, 422),
        ("/api/v1/labels", {**BODY, "more": 1}, 422),
        (f"/api/v1/labels/{'f' * 16}:undo", {}, 404),
    ):
        assert console.post(path, headers=ADMIN, json=body).status_code == status
