"""Readings and events that programs send to the API: each row is stored or refused, whatever is
sent."""

import gzip
import json
from itertools import product

import pytest
from fastapi import HTTPException

from alerting.console.api import ingest_api
from alerting.ports import WantedHistory
from alerting.usecases.sources.status import SOURCES
from alerting.usecases.sources.stream import LONGEST_LINE
from tests.builders import at
from tests.helpers.console.api import ADMIN, SENDER, expect_problem
from tests.helpers.console.pages import lacks
from tests.helpers.hostile_files import contents, deliveries
from tests.helpers.refusals import lacking

ROW = {"ts": "2026-01-05T12:00:00Z", "asset": "oven-9", "values": {"zone_2": 201.5, "recipe": "A"}}
KINDS = ("application/json", "application/x-ndjson")
NDJSON = {**ADMIN, "content-type": KINDS[1]}
ZIPPED = {**ADMIN, "content-encoding": "gzip"}


def send(client, body, path="readings", headers=ADMIN, **query):
    headers = {"content-type": "application/json", **headers}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(f"/api/v1/{path}", content=content, headers=headers, params=query)


def answered(rows, new):
    """Return the answer to a delivery none of whose rows is refused."""
    return {"rows": rows, "new": new, "refused": 0, "lines": []}


def test_readings_are_stored_and_a_second_time_nothing_changes(client, platform):
    assert send(client, [ROW, {**ROW, "ts": "2026-01-05T12:01:00Z"}]).json() == answered(2, 2)
    assert send(client, ROW).json() == answered(1, 0)
    asset = platform.assets.get("oven-9")
    declared = {name: (one.type, one.source) for name, one in asset.variables.items()}
    assert declared == {"zone_2": ("number", None), "recipe": ("category", None)}
    assert len(platform.readings.load(WantedHistory(asset, None, None)).readings) == 2


def test_each_line_that_cannot_be_stored_is_answered_with_its_number(client):
    long = json.dumps({**ROW, "values": {"t": "x" * LONGEST_LINE}})
    refused = {
        3: ("{", ""),
        4: ("[1]", ""),
        5: (json.dumps({**ROW, "ts": "noon"}), "ts: 'noon' is not a time"),
        6: (json.dumps({**ROW, "asset": "#1"}), ""),
        7: (long, f"has {len(long)} characters; at most {LONGEST_LINE} are allowed"),
        8: (json.dumps({**ROW, "values": {"t": "\ud800"}}), ""),
    }  # fmt: skip
    lines = [json.dumps(ROW), "", *(line for line, _ in refused.values())]
    answer = send(client, "\n".join(lines).encode(), headers=NDJSON).json()
    assert (answer["rows"], answer["refused"]) == (1, len(refused))
    found = {line["line"]: line["reason"] for line in answer["lines"]}
    assert lacking(found, {number: words for number, (_, words) in refused.items()}) == {}


def test_a_sender_stands_in_the_audit_with_what_its_data_declare(client, platform):
    names = [f"junk-{number}" for number in range(510)]
    answer = send(client, [ROW, *({**ROW, "asset": name} for name in names)], headers=SENDER).json()
    assert (answer["rows"], answer["refused"]) == (500, 11)
    assert [line["line"] for line in answer["lines"]] == [*range(501, 512)]
    [entry] = [one for one in platform.audit.entries if one["what"] == "declared by data"]
    assert (entry["actor"], entry["subject"]) == ("gateway-3", "sender gateway-3")


# Whatever is sent


def test_no_hostile_file_makes_a_delivery_fail(client):
    cases = list(product(("readings", "events"), KINDS, contents().items()))
    answers = {
        (path, kind, name): send(client, body, path, {**ADMIN, "content-type": kind})
        for path, kind, (name, body) in cases
    }
    statuses = {case: answer.status_code for case, answer in answers.items()}
    assert {case: s for case, s in statuses.items() if s not in (200, 413, 422)} == {}
    taken = [case for case, status in statuses.items() if status == 200 and "JSON" not in case[2]]
    assert {case: answers[case].json()["rows"] for case in taken} == dict.fromkeys(taken, 0)


def test_a_hostile_row_is_refused_by_its_number_and_the_row_beside_it_is_stored(client):
    good = '{"ts": "2026-01-05T12:00:00Z", "asset": "oven-1", "type": "stop", "t": 1.5}'
    wrong = {}
    for path, (name, row) in product(("readings", "events"), deliveries().items()):
        body = row.encode("utf-8", "surrogatepass")
        beside = f"{good}\n{row}\n".encode("utf-8", "surrogatepass")
        lines = send(client, beside, path, NDJSON)
        if lines.status_code == 200:
            found = lines.json()
            is_right = found["rows"] >= 1 and {one["line"] for one in found["lines"]} <= {2}
        else:  # half a character: the body is no text
            is_right = lines.status_code == 422 and "not UTF-8" in lines.text
        whole = [send(client, one, path).status_code for one in (body, b"[%b]" % body)]
        cut = send(client, gzip.compress(body)[:-1], path, ZIPPED).status_code
        if not is_right or not {*whole} <= {200, 400, 422} or cut != 422:
            wrong[path, name] = (lines.text, whole, cut)
    assert wrong == {}


def test_a_compressed_body_is_bounded_after_decompression(client, monkeypatch):
    assert send(client, gzip.compress(json.dumps(ROW).encode()), headers=ZIPPED).json()["new"] == 1
    members = gzip.compress(b"[") + gzip.compress(json.dumps(ROW).encode() + b"]")
    assert "not in several members" in expect_problem(send(client, members, headers=ZIPPED), 422)
    bomb = gzip.compress(b" " * (ingest_api.LARGEST_DELIVERY + 1))
    assert len(bomb) < 20_000
    assert "once it is decompressed" in expect_problem(send(client, bomb, headers=ZIPPED), 413)
    assert "not gzip" in expect_problem(send(client, b"{}", headers=ZIPPED), 422)
    assert "cut off" in expect_problem(send(client, gzip.compress(b"[]")[:-4], headers=ZIPPED), 422)


def test_a_large_body_is_accepted_here_and_a_larger_one_refused_before_it_is_read(client):
    rows = [{**ROW, "ts": 1767614400 + i, "values": {"zone_2": i}} for i in range(2000)]
    assert len(json.dumps(rows)) > 100_000
    assert send(client, rows).json()["new"] == 2000
    claimed = {**ADMIN, "content-length": str(ingest_api.LARGEST_DELIVERY + 1)}
    assert "larger than 16777216 bytes" in expect_problem(send(client, b"[]", headers=claimed), 413)
    large = json.dumps(ROW).encode() + (b" " * 1000 + b"\n") * (ingest_api.LARGEST_JSON // 1000)
    assert send(client, large, headers=NDJSON).json()["new"] == 1  # one of JSON is smaller
    for answer in (send(client, large), send(client, gzip.compress(large), headers=ZIPPED)):
        assert "send NDJSON, one row per line" in expect_problem(answer, 413)


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
    mapped = {"time": "t", "asset": "oven-9", "variables": {"Z2": {"name": "zone_2"}}}
    source = {"name": "gate", "kind": "http", "stale_after": "5m", **mapped}
    SOURCES.apply(platform, [source], "ada", at(0))
    row = {"t": "2026-01-05T12:00:00Z", "Z2": 201.5}
    assert send(client, row, source="gate").json() == answered(1, 1)
    assert platform.assets.get("oven-9").variables["zone_2"].source == "gate"
    assert platform.deliveries.progress("gate").rows == 1
    metrics = client.get("/metrics", headers=ADMIN).text
    figures = (
        'alerting_source_rows{source="gate"} 1.0',
        'alerting_source_stale{source="gate"} 0.0',
    )
    assert lacks(metrics, *figures) == []
    elsewhere = expect_problem(send(client, ROW, path="events", source="gate"), 422)
    assert "to /api/v1/readings" in elsewhere
    expect_problem(send(client, ROW, source="gates"), 404)
    SOURCES.change_state(platform, "gate", "pause", "ada", at(1))
    assert "is paused" in expect_problem(send(client, ROW, source="gate"), 422)


def test_events_are_stored_and_merged_with_their_end(client, platform):
    event = {"ts": "2026-01-05T12:00:00Z", "asset": "oven-9", "type": "stop", "end": None}
    assert send(client, event, path="events").json()["new"] == 1
    assert send(client, {**event, "end": "2026-01-05T12:30:00Z"}, path="events").json()["new"] == 1
    events = platform.readings.load(WantedHistory(platform.assets.get("oven-9"), None, None)).events
    assert [e.end.isoformat()[:16] for e in events.itertuples()] == ["2026-01-05T12:30"]


def test_senders_are_told_to_wait_while_too_many_deliveries_are_stored(client):
    admit = client.app.state.deliveries.admit_delivery
    with admit("gate-1"), admit("gate-1"), admit("gate-1"):
        assert send(client, ROW).status_code == 200
        with pytest.raises(HTTPException), admit("gate-1"):
            pytest.fail("a sender leaves one of four places to the others")
        with admit("gate-2"):
            answer = send(client, ROW)
        assert "send this one again" in expect_problem(answer, 429)
        assert answer.headers["retry-after"] == "1"
