"""Whatever a program sends as a delivery is stored or refused with a problem: never an error of the
server."""

import gzip
import json

import pytest

from tests.helpers.console.api import ADMIN
from tests.helpers.hostile_files import contents, deliveries

KINDS = ("application/json", "application/x-ndjson")


def send(client, body, kind, path="readings", **headers):
    return client.post(
        f"/api/v1/{path}", content=body, headers={**ADMIN, "content-type": kind, **headers}
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", ["readings", "events"])
def test_no_hostile_file_makes_a_delivery_fail(client, kind, path):
    answers = {name: send(client, body, kind, path) for name, body in contents().items()}
    assert len(answers) > 130
    assert {
        name: a.status_code for name, a in answers.items() if a.status_code not in (200, 413, 422)
    } == {}
    assert all(
        answer.json()["rows"] == 0
        for name, answer in answers.items()
        if answer.status_code == 200 and "JSON" not in name
    )


def test_rows_of_the_lines_of_hostile_files_are_stored_or_refused_one_by_one(client):
    for name, body in contents().items():
        lines = body[: 1 << 20].decode("utf-8", "replace").split("\n")[1:50]
        rows = [
            {
                "ts": line.partition(",")[0],
                "asset": "oven-1",
                "values": {"t": line.partition(",")[2]},
            }
            for line in lines
        ]
        answer = send(client, json.dumps(rows).encode(), KINDS[0])
        assert answer.status_code == 200, name
        assert answer.json()["rows"] + answer.json()["refused"] == len(rows), name


@pytest.mark.parametrize("path", ["readings", "events"])
@pytest.mark.parametrize("name", deliveries())
def test_a_hostile_row_is_refused_by_its_number_and_the_row_beside_it_is_stored(client, name, path):
    good = '{"ts": "2026-01-05T12:00:00Z", "asset": "oven-1", "type": "stop", "t": 1.5}'
    body = deliveries()[name]
    lines = send(client, f"{good}\n{body}\n".encode("utf-8", "surrogatepass"), KINDS[1], path)
    if lines.status_code == 422:  # half a character: the body is no text
        assert "not UTF-8" in lines.text
        return
    assert lines.status_code == 200
    assert lines.json()["rows"] >= 1
    assert {line["line"] for line in lines.json()["lines"]} <= {2}
    for raw in (body, f"[{good}, {body}]"):
        assert send(client, raw.encode("utf-8", "surrogatepass"), KINDS[0], path).status_code in (
            200,
            400,
            422,
        )
    assert (
        send(
            client,
            gzip.compress(body.encode("utf-8", "surrogatepass"))[:-1],
            KINDS[0],
            path,
            **{"content-encoding": "gzip"},
        ).status_code
        == 422
    )


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (
            '{"ts": "2026-01-05T12:00:00Z", "ts": "2026-01-06T12:00:00Z", "asset": "oven-1", "t": '
            "1}",
            "'ts' occurs twice in one object",
        ),
        (
            '{"ts": "2026-01-05T12:00:00Z", "asset": true, "t": 1}',
            "asset: True is not a name of an asset",
        ),
        (
            '{"ts": "2026-01-05T12:00:00Z", "asset": "oven-1", "t": 1e-400}',
            "t: 1E-400 is too small a number",
        ),
        (
            '{"ts": "0001-01-01T00:00:00", "asset": "oven-1", "t": 1}',
            "does not lie between the years 1900 and 2200",
        ),
    ],
)
def test_what_would_be_stored_as_something_else_is_refused(client, platform, row, reason):
    for kind in KINDS:
        answer = send(client, row.encode(), kind).json()
        assert (answer["rows"], answer["refused"]) == (0, 1)
        assert reason in answer["lines"][0]["reason"]
    assert platform.assets.all() == [] or "t" not in platform.assets.get("oven-1").variables
