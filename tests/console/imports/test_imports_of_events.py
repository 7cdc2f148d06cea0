"""Events in a file of the browser: recognised by columns or chosen, shown as they are stored,
written by the engine of the command."""

from tests.builders import at
from tests.helpers.console.uploads import EMIL, URL, checked, client_of, ended, written

EVENTS = b"""asset,type,start,end,operator
oven-1,stop,2026-01-05T00:10:00Z,2026-01-05T00:20:00Z,otto
oven-1,stop,2026-01-05T01:10:00Z,,anna
oven-1,failure,2026-01-05T02:10:00Z,2026-01-05T02:15:00Z,
"""


def test_events_are_recognised_by_their_columns_and_written(platform, tmp_path):
    client = client_of(platform, tmp_path)
    found = checked(client, EVENTS, name="stops.csv")
    understood = found["understood"]
    assert (found["state"], understood["what"]) == ("checked", "events")
    assert understood["event_types"] == {"stop": "lasting", "failure": "lasting"}
    assert [column["name"] for column in understood["columns"]] == ["operator"]
    assert found["preview"][0] == {
        "asset": "oven-1",
        "ts": "2026-01-05T00:10:00Z",
        "type": "stop",
        "end": "2026-01-05T00:20:00Z",
        "values": {"operator": "otto"},
    }
    assert found["preview"][1]["end"] is None
    assert platform.assets.event_types() == []
    result = written(client, found["id"])["result"]
    assert (result["what"], result["rows"], result["new"]) == ("events", 3, 3)
    oven = platform.assets.get("oven-1")
    events = platform.readings.load(oven, at(600), at(600), (), events_since=at(0)).events
    assert list(events["type"]) == ["stop", "stop", "failure"]


def test_a_file_without_types_is_events_by_choice_and_a_bad_end_is_named(platform, tmp_path):
    client = client_of(platform, tmp_path)
    lines = b"start;ende\n2026-01-05T00:10:00Z;2026-01-05T00:20:00Z\n2026-01-05T01:10:00Z;soon\n"
    choices = {"asset": "oven-1", "what": "events", "event_type": "stop", "end_column": "ende"}
    id = checked(client, lines, asset="oven-1")["id"]
    client.post(f"{URL}/{id}:check", json=choices, headers=EMIL)
    refused = ended(client, id)
    assert refused["state"] == "refused"
    assert "soon" in refused["fault"]
    client.post(f"{URL}/{id}:check", json={**choices, "skip_bad": True}, headers=EMIL)
    assert ended(client, id)["understood"]["rows"] == 1
    done = written(client, id)
    assert (done["result"]["rejected"], done["result"]["event_types"]) == (1, {"stop": "lasting"})
    assert b"soon" in client.get(done["rejects"], headers=EMIL).content


def test_a_missing_column_of_types_is_asked_for(platform, tmp_path):
    client = client_of(platform, tmp_path)
    lines = b"start,end\n2026-01-05T00:10:00Z,2026-01-05T00:20:00Z\n"
    found = checked(client, lines, asset="oven-1", what="events")
    assert found["state"] == "refused"
    assert {"event_type", "type_column"} & {*found["asks"]}
