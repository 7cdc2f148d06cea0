"""Readings and events that programs send to the API."""

import gzip
import json

import pytest
from fastapi import HTTPException

from alerting.console.api import ingest_api
from alerting.usecases.sources.documents import apply_sources, set_state
from alerting.usecases.sources.json_rows import LONGEST_LINE
from tests.builders import at
from tests.helpers.console.api import ADMIN, SENDER, expect_problem

ROW = {"ts": "2026-01-05T12:00:00Z", "asset": "oven-9", "values": {"zone_2": 201.5, "recipe": "A"}}
NDJSON = {**ADMIN, "content-type": "application/x-ndjson"}


def send(client, body, path="readings", headers=ADMIN, **query):
    headers = {"content-type": "application/json", **headers}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(f"/api/v1/{path}", content=content, headers=headers, params=query)


def test_readings_are_stored_and_a_second_time_nothing_changes(client, platform):
    assert send(client, [ROW, {**ROW, "ts": "2026-01-05T12:01:00Z"}]).json() == {
        "rows": 2,
        "new": 2,
        "refused": 0,
        "lines": [],
    }
    assert send(client, ROW).json() == {"rows": 1, "new": 0, "refused": 0, "lines": []}
    asset = platform.assets.get("oven-9")
    assert {name: (v.type, v.source) for name, v in asset.variables.items()} == {
        "zone_2": ("number", None),
        "recipe": ("category", None),
    }
    assert len(platform.readings.load(asset, None, None).readings) == 2


def test_each_line_that_cannot_be_stored_is_answered_with_its_number(client):
    lines = [
        json.dumps(ROW),
        "",
        "{",
        "[1]",
        json.dumps({**ROW, "ts": "noon"}),
        json.dumps({**ROW, "asset": "#1"}),
    ]
    answer = send(client, "\n".join(lines).encode(), headers=NDJSON).json()
    assert (answer["rows"], answer["refused"]) == (1, 4)
    assert [line["line"] for line in answer["lines"]] == [3, 4, 5, 6]
    assert answer["lines"][2]["reason"].startswith("ts: 'noon' is not a time")


def test_a_sender_that_declares_too_much_is_refused_row_by_row_and_stands_in_the_audit(
    client, platform
):
    names = [f"junk-{number}" for number in range(510)]
    answer = send(client, [ROW, *({**ROW, "asset": name} for name in names)], headers=SENDER).json()
    assert (answer["rows"], answer["refused"]) == (500, 11)
    assert [line["line"] for line in answer["lines"]] == [*range(501, 512)]
    assert "declare it with alerting import assets" in answer["lines"][0]["reason"]
    [entry] = [one for one in platform.audit.entries if one["what"] == "declared by data"]
    assert (entry["actor"], entry["subject"]) == ("gateway-3", "sender gateway-3")
    assert entry["why"].startswith("500 new assets: junk-0, ")


def test_a_line_that_is_too_long_is_refused_and_the_others_are_stored(client):
    long = json.dumps({**ROW, "values": {"t": "x" * LONGEST_LINE}})
    answer = send(client, f"{json.dumps(ROW)}\n{long}".encode(), headers=NDJSON).json()
    assert (answer["rows"], [line["line"] for line in answer["lines"]]) == (1, [2])
    assert (
        answer["lines"][0]["reason"]
        == f"has {len(long)} characters; at most {LONGEST_LINE} are allowed"
    )


@pytest.mark.parametrize(
    "row",
    [{**ROW, "asset": "o\n"}, {**ROW, "values": {"t": "\ud800"}}, {**ROW, "values": {"\ud800": 1}}],
)
def test_a_name_or_text_that_cannot_be_stored_is_refused_by_its_line(client, row):
    answer = send(client, [ROW, row])
    assert (answer.status_code, answer.json()["rows"]) == (200, 1)
    assert [line["line"] for line in answer.json()["lines"]] == [2]


def test_a_compressed_body_is_bounded_after_decompression(client, monkeypatch):
    zipped = {**ADMIN, "content-encoding": "gzip"}
    assert send(client, gzip.compress(json.dumps(ROW).encode()), headers=zipped).json()["new"] == 1
    members = gzip.compress(b"[") + gzip.compress(json.dumps(ROW).encode() + b"]")
    assert "not in several members" in expect_problem(send(client, members, headers=zipped), 422)
    bomb = gzip.compress(b" " * (ingest_api.LARGEST_DELIVERY + 1))
    assert len(bomb) < 20_000
    assert "once it is decompressed" in expect_problem(send(client, bomb, headers=zipped), 413)
    assert "not gzip" in expect_problem(send(client, b"{}", headers=zipped), 422)
    assert "cut off" in expect_problem(send(client, gzip.compress(b"[]")[:-4], headers=zipped), 422)


def test_a_large_body_is_accepted_here_and_a_larger_one_refused_before_it_is_read(client):
    rows = [{**ROW, "ts": 1767614400 + i, "values": {"zone_2": i}} for i in range(2000)]
    assert len(json.dumps(rows)) > 100_000
    assert send(client, rows).json()["new"] == 2000
    claimed = {**ADMIN, "content-length": str(ingest_api.LARGEST_DELIVERY + 1)}
    assert "larger than 16777216 bytes" in expect_problem(send(client, b"[]", headers=claimed), 413)


def test_a_body_of_json_is_smaller_than_one_of_lines(client):
    large = json.dumps(ROW).encode() + (b" " * 1000 + b"\n") * (ingest_api.LARGEST_JSON // 1000)
    assert send(client, large, headers=NDJSON).json()["new"] == 1
    zipped = {**ADMIN, "content-encoding": "gzip"}
    for answer in (send(client, large), send(client, gzip.compress(large), headers=zipped)):
        assert "send NDJSON, one row per line" in expect_problem(answer, 413)


@pytest.mark.parametrize(
    "body", [b"", b"3", b"[3]", b"nonsense", b"\xff", b'{"a": ' + b"9" * 5000 + b"}"]
)
def test_a_body_that_is_no_list_of_rows_is_refused_whole(client, body):
    answer = send(client, body)
    assert answer.status_code in (200, 422)
    assert answer.status_code == 422 or answer.json()["rows"] == 0


def test_a_delivery_with_the_same_key_gets_the_same_answer_and_writes_nothing(client, platform):
    keyed = {**ADMIN, "idempotency-key": "batch-17"}
    first = send(client, ROW, headers=keyed).json()
    # a correction, which the old delivery must not undo
    send(client, {**ROW, "values": {"zone_2": 199.0}})
    assert send(client, ROW, headers=keyed).json() == first
    [row] = platform.reading_writes.stored([("oven-9", 1767614400000)]).values()
    assert row.values["zone_2"] == 199.0
    assert "another body" in expect_problem(send(client, [ROW], headers=keyed), 422)


def test_with_a_source_rows_are_mapped_by_its_document_and_counted(client, platform):
    source = {
        "name": "gate",
        "kind": "http",
        "time": "t",
        "asset": "oven-9",
        "variables": {"Z2": {"name": "zone_2"}},
    }
    apply_sources(platform, [{**source, "stale_after": "5m"}], "ada", at(0))
    assert (
        send(client, {"t": "2026-01-05T12:00:00Z", "Z2": 201.5}, source="gate").json()["new"] == 1
    )
    assert platform.assets.get("oven-9").variables["zone_2"].source == "gate"
    assert platform.deliveries.progress("gate").rows == 1
    metrics = client.get("/metrics", headers=ADMIN).text
    assert 'alerting_source_rows{source="gate"} 1.0' in metrics
    assert 'alerting_source_stale{source="gate"} 0.0' in metrics
    assert "to /api/v1/readings" in expect_problem(
        send(client, ROW, path="events", source="gate"), 422
    )
    expect_problem(send(client, ROW, source="gates"), 404)
    set_state(platform, "gate", "paused", "ada", at(1))
    assert "is paused" in expect_problem(send(client, ROW, source="gate"), 422)


def test_events_are_stored_and_merged_with_their_end(client, platform):
    event = {"ts": "2026-01-05T12:00:00Z", "asset": "oven-9", "type": "stop", "end": None}
    assert send(client, event, path="events").json()["new"] == 1
    assert send(client, {**event, "end": "2026-01-05T12:30:00Z"}, path="events").json()["new"] == 1
    events = platform.readings.load(platform.assets.get("oven-9"), None, None).events
    assert [e.end.isoformat()[:16] for e in events.itertuples()] == ["2026-01-05T12:30"]


def test_senders_are_told_to_wait_while_too_many_deliveries_are_stored(client):
    deliveries = client.app.state.deliveries
    with (
        deliveries.admit_delivery("gate-1"),
        deliveries.admit_delivery("gate-1"),
        deliveries.admit_delivery("gate-1"),
    ):
        assert send(client, ROW).status_code == 200
        with pytest.raises(HTTPException), deliveries.admit_delivery("gate-1"):
            """A sender leaves one of four places to the others."""
        with deliveries.admit_delivery("gate-2"):
            answer = send(client, ROW)
            assert "send this one again" in expect_problem(answer, 429)
            assert answer.headers["retry-after"] == "1"
    assert send(client, ROW).status_code == 200
