"""The client against the API itself, and what its requests carry, repeat and say."""

import json
import logging
import re
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from pathlib import Path

import httpx
import pytest

import alerting.client
from alerting.client import ApiProblem, Client
from tests.helpers.console.api import ADMIN, client, episode, platform  # noqa: F401 - fixtures
from tests.helpers.console.rubbish import description
from tests.helpers.console.whole_answers import transport_of

ADDRESS = "https://plant.example"
TOKEN = ADMIN["authorization"].removeprefix("Bearer ")
EMPTY = httpx.Response(200, json={"items": [], "next": None})
PAGE = Path(__file__).parents[2] / "docs" / "api.md"
MARK = {"ts": "2026-01-05T12:00:00Z", "asset": "oven-1", "values": {"zone_2": 221.5}}


@pytest.fixture
def api(client):  # noqa: F811
    return Client(ADDRESS, TOKEN, transport=transport_of(client))


@pytest.fixture
def network():
    """Return a function that makes a client which gets some answers, and what it has sent."""

    def made(*answers, address=ADDRESS):
        waiting = [httpx.Response(200, json=description()), *answers]
        sent = []

        def answer(request):
            request.read()
            sent.append(request)
            found = waiting.pop(0)
            if isinstance(found, Exception):
                raise found
            return found

        api = Client(address, TOKEN, transport=httpx.MockTransport(answer))
        assert api.operations
        sent.clear()
        return sent, api

    return made


@pytest.fixture
def pauses(monkeypatch):
    taken = []
    monkeypatch.setattr(alerting.client, "sleep", taken.append)
    return taken


def test_each_operation_but_the_stream_can_be_called_by_its_id(api):
    assert len(api.operations) > 100
    assert "live" not in api.operations
    assert [id for id in api.operations if hasattr(httpx.Client, id)] == []
    for one in api.operations.values():
        by_place = [its["name"] for its in one.get("parameters", ()) if its["in"] == "path"]
        assert by_place == re.findall(r"{(\w+)}", one["path"])
    assert api.call("show_definition", "too-hot") == api.show_definition(name="too-hot")


WRONG_CALLS = [
    (lambda api: api.list_episode(), "no operation 'list_episode'; near to it: list_episodes"),
    (lambda api: api.qqqqq(), "near to it: none"),
    (lambda api: api.list_episodes(aset="oven-1"), r"'aset'.*list_episodes\(.*asset=None"),
    (lambda api: api.show_definition(), r"missing.*'name'.*show_definition\(name\)"),
    (lambda api: api.show_definition(None), "show_definition needs name"),
    (lambda api: api.show_definition(""), "show_definition needs name"),
    (lambda api: api.show_series(asset="oven-1", variable=None), "missing.*'variable'"),
    (lambda api: api.apply_definition("too-hot"), "missing.*'body'"),
    (lambda api: api.show_definition("a", "b"), "too many positional"),
    (lambda api: api.show_definition("a", name="b"), "multiple values.*'name'"),
]


def test_a_call_that_the_platform_does_not_offer_is_refused_before_it_is_sent(network):
    sent, api = network()
    for call, told in WRONG_CALLS:
        with pytest.raises(TypeError, match=told):
            call(api)
    assert sent == []


def test_a_request_has_the_prefix_the_token_and_its_parameters(network):
    sent, api = network(EMPTY, EMPTY, address=f"{ADDRESS}/alerting/")
    api.list_episodes(asset="oven-1", open=True, from_=datetime(2026, 1, 5, tzinfo=UTC), to=None)
    api.show_series(asset="a", variable=["b", "c"], start="2026-01-05T00:00Z", end="x")
    episodes, series = sent
    assert episodes.url.path == "/alerting/api/v1/episodes"
    given = {"asset": "oven-1", "open": "true", "from": "2026-01-05T00:00:00+00:00"}
    assert dict(episodes.url.params) == given
    assert series.url.params.get_list("variable") == ["b", "c"]
    assert episodes.headers["authorization"] == f"Bearer {TOKEN}"


def test_a_name_stays_one_part_of_the_path(network):
    sent, api = network(EMPTY, EMPTY)
    for name in ("a/b c", ".."):
        api.show_definition(name)
    paths = [request.url.raw_path.removeprefix(b"/api/v1/definitions/") for request in sent]
    assert paths == [b"a%2Fb%20c", b"%2E%2E"]


def test_bodies_are_json_yaml_or_a_file(network):
    sent, api = network(*[EMPTY] * 5)
    api.give_feedback("e", {"acted": True, "acted_at": datetime(2026, 1, 5, tzinfo=UTC)})
    api.apply_definition("hot", "name: hot\n", if_match=3)
    api.order_predict_job("hot", BytesIO(b"time,a\n" * 1000))
    api.send_readings(b"{}\n{}\n")
    api.check_definition({})
    feedback, yaml, upload, lines, empty = sent
    assert json.loads(feedback.content) == {"acted": True, "acted_at": "2026-01-05T00:00:00+00:00"}
    assert [one.content for one in (yaml, lines, empty)] == [b"name: hot\n", b"{}\n{}\n", b"{}"]
    # the API takes no body without its length
    assert (yaml.headers["if-match"], upload.headers["content-length"]) == ("3", "7000")
    assert [one.headers["content-type"].removeprefix("application/") for one in sent] == [
        *("json", "yaml", "vnd.apache.parquet", "x-ndjson", "json")
    ]


def test_pages_and_lists_are_read_to_their_end(api, platform):  # noqa: F811
    for minute in range(5):
        platform.episodes.insert(episode(minute))
    found = list(api.iterate("list_episodes", asset="oven-1", limit=2))
    assert [one["raised_at"][14:16] for one in found] == ["04", "03", "02", "01", "00"]
    assert len(list(api.iterate("list_variables", "oven-1", limit=1))) > 1
    assert len(list(api.iterate("list_models"))) == 1  # a list without pages


def test_a_refusal_is_one_error_with_its_faults(api):
    with pytest.raises(ApiProblem, match="422 Unprocessable") as found:
        api.apply_definition("hot", {"name": "hot", "kind": "threshold"}, if_none_match="*")
    assert (found.value.status, found.value.title) == (422, "Unprocessable Entity")
    assert "assets" in {fault["path"] for fault in found.value.faults}
    with pytest.raises(ApiProblem, match="404 Not Found"):
        api.show_asset("oven-9")


def test_an_answer_of_something_else_is_a_problem_too(network):
    page = {"headers": {"content-type": "text/html"}, "text": "<html>"}
    _, api = network(*(httpx.Response(status, **page) for status in (404, 200, 302)))
    for status in (404, 200, 302):
        with pytest.raises(ApiProblem, match=f"{status} .*: is this the address of the platform"):
            api.list_models()


def test_reading_is_repeated_while_the_platform_is_briefly_away(network, pauses):
    slow = httpx.Response(429, headers={"retry-after": "7"})
    _, api = network(httpx.ConnectError("refused"), slow, EMPTY, *[httpx.Response(503)] * 3)
    assert api.list_models()["items"] == []
    with pytest.raises(ApiProblem, match="503"):
        api.list_models()
    assert pauses == [0.5, 7.0, 0.5, 1.0]


def test_a_change_is_sent_once(network, pauses):
    sent, api = network(httpx.ReadTimeout("nothing came"), httpx.Response(503))
    with pytest.raises(ConnectionError, match=r"POST .*/mutes/x/end: ReadTimeout"):
        api.end_mute("x")
    with pytest.raises(ApiProblem, match="503"):
        api.end_mute("x")
    assert (len(sent), pauses) == (2, [])


def test_readings_are_repeated_under_the_same_key(network, pauses):
    sent, api = network(httpx.ReadTimeout(""), EMPTY, EMPTY, EMPTY, httpx.ReadError(""))
    api.send_readings(MARK)
    api.send_readings(MARK)
    api.send_readings(MARK, idempotency_key="mine")
    keys = [one.headers["idempotency-key"] for one in sent]
    assert [len(set(keys)), *keys] == [3, keys[0], keys[0], keys[2], "mine"]
    with pytest.raises(ConnectionError):  # a file has been read when it would be sent again
        api.send_readings(BytesIO(b"{}\n"))
    assert len(pauses) == 1


def test_what_cannot_be_a_token_is_refused_without_being_said():
    for token in ("", "with blank", "line\n", "geheim-ü"):
        with pytest.raises(ValueError, match="token") as found:
            Client(ADDRESS, token)
        assert token == "" or token not in str(found.value)


def test_no_message_and_no_log_has_the_token(pauses, caplog):
    caplog.set_level(logging.DEBUG)
    api = Client("http://127.0.0.1:9", TOKEN)
    with pytest.raises(ConnectionError) as found:
        api.list_models()
    said = f"{api!r} {found.value!r} {vars(api)} {caplog.text}"
    assert "ConnectError" in said
    assert TOKEN not in said


def test_the_example_of_the_page_runs(client, platform, monkeypatch, capsys):  # noqa: F811
    platform.episodes.insert(episode(5, condition="open"))
    example = re.search(r"```python\n(from alerting\.client .*?)```", PAGE.read_text(), re.DOTALL)
    monkeypatch.setattr(alerting.client, "Client", partial(Client, transport=transport_of(client)))
    exec(example[1], {"token": TOKEN, "text": "name: oven-too-hot\nkind: threshold\n"})  # noqa: S102 - of our own page
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("HIGH: Oven too hot on oven-1")
    assert any(line.startswith("assets ") for line in said)
