"""Requests of the client: what they carry, when they are repeated, and what a refusal is."""

import json
from datetime import UTC, datetime

import httpx
import pytest

from alerting.client import ApiProblem, Client, ClientError, NoAnswer, transport

TOKEN = "engineer-token-0123456789"
PROBLEM = {
    "title": "Unprocessable Entity",
    "status": 422,
    "detail": "definition 'hot' has faults",
    "faults": [{"path": "above", "message": "is missing", "hint": "write above: 215"}],
}


class Answers:
    """A network that gives these answers, one after another, and remembers the requests."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __call__(self, request):
        request.read()
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def pauses(monkeypatch):
    taken = []
    monkeypatch.setattr(transport, "sleep", taken.append)
    return taken


def connected(answers, address="http://plant.example"):
    return Client(address, TOKEN, transport=httpx.MockTransport(answers))


def json_answer(content, status=200, **headers):
    return httpx.Response(status, json=content, headers=headers)


def test_a_request_has_the_prefix_the_token_and_its_parameters():
    answers = Answers(json_answer({"items": [], "next": None}))
    with connected(answers, "https://plant.example/alerting/") as client:
        client.list_episodes(asset="oven-1", open=True, from_=datetime(2026, 1, 5, tzinfo=UTC))
    (request,) = answers.requests
    assert request.url.path == "/alerting/api/v1/episodes"
    assert dict(request.url.params) == {
        "asset": "oven-1",
        "open": "true",
        "from": "2026-01-05T00:00:00+00:00",
    }
    assert request.headers["authorization"] == f"Bearer {TOKEN}"


def test_a_name_with_a_slash_stays_one_part_of_the_path():
    answers = Answers(json_answer({}))
    with connected(answers) as client:
        client.show_definition("a/b c")
    assert answers.requests[0].url.raw_path == b"/api/v1/definitions/a%2Fb%20c"


def test_bodies_are_json_yaml_or_a_file(tmp_path):
    answers = Answers(*(json_answer({}) for _ in range(3)))
    file = tmp_path / "line.csv"
    file.write_bytes(b"time,a\n" * 1000)
    with connected(answers) as client, file.open("rb") as opened:
        client.give_feedback("e", {"acted": True, "acted_at": datetime(2026, 1, 5, tzinfo=UTC)})
        client.check_definition("name: hot\n")
        client.upload_import(opened, name="line.csv")
    feedback, yaml, upload = answers.requests
    sent = json.loads(feedback.content)
    assert sent == {"acted": True, "acted_at": "2026-01-05T00:00:00+00:00"}
    assert (yaml.content, yaml.headers["content-type"]) == (b"name: hot\n", "application/yaml")
    assert upload.headers["content-length"] == "7000"  # the API takes no body without its length
    assert upload.content == file.read_bytes()


def test_pages_are_read_until_the_last():
    pages = [
        {"items": [{"id": "b"}, {"id": "a"}], "next": "17_a"},
        {"items": [{"id": "0"}], "next": None},
    ]
    answers = Answers(*map(json_answer, pages))
    with connected(answers) as client:
        assert [one["id"] for one in client.iterate_episodes(asset="oven-1")] == ["b", "a", "0"]
    assert [dict(request.url.params) for request in answers.requests] == [
        {"asset": "oven-1"},
        {"asset": "oven-1", "cursor": "17_a"},
    ]


def test_a_refusal_is_one_error_with_its_faults():
    with (
        connected(Answers(json_answer(PROBLEM, 422))) as client,
        pytest.raises(ApiProblem, match="has faults") as found,
    ):
        client.apply_definition("hot", {}, if_none_match="*")
    assert found.value.status == 422
    assert found.value.faults == (("above", "is missing", "write above: 215"),)


def test_an_answer_of_something_else_is_an_error_too():
    answers = Answers(httpx.Response(404, text="<html>"), httpx.Response(200, text="<html>"))
    with connected(answers) as client:
        with pytest.raises(ApiProblem, match="is this the platform"):
            client.list_models()
        with pytest.raises(ClientError, match="not JSON"):
            client.list_models()


def test_reading_is_repeated_while_the_platform_is_briefly_away(pauses):
    away = json_answer({"title": "Service Unavailable", "detail": "later"}, 503)
    slow = json_answer(
        {"title": "Too Many Requests", "detail": "wait"}, 429, **{"retry-after": "7"}
    )
    answers = Answers(httpx.ConnectError("refused"), slow, json_answer([]))
    with connected(answers) as client:
        assert client.list_models() == []
    assert pauses == [0.5, 7.0]
    with connected(Answers(away, away, away)) as client, pytest.raises(ApiProblem, match="503"):
        client.list_models()


def test_a_change_is_sent_once(pauses):
    answers = Answers(httpx.ReadTimeout("nothing came"))
    with connected(answers) as client, pytest.raises(NoAnswer, match="POST /shelves/x/end"):
        client.end_shelf("x")
    assert (len(answers.requests), pauses) == (1, [])


def test_readings_are_repeated_under_the_same_key(pauses):
    done = json_answer({"rows": 1, "new": 1, "refused": 0, "lines": []})
    answers = Answers(httpx.ReadTimeout("nothing came"), done, done)
    row = {"ts": "2026-01-05T00:00Z", "asset": "a", "values": {"x": 1}}
    with connected(answers) as client:
        assert client.send_readings(row)["new"] == 1
        client.send_readings(row)
    first, again, other = [request.headers["idempotency-key"] for request in answers.requests]
    assert first == again != other
    assert len(pauses) == 1


def test_an_answer_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(transport, "LARGEST_ANSWER", 1000)
    answers = Answers(httpx.Response(200, content=b"x" * 1001))
    with connected(answers) as client, pytest.raises(ClientError, match="more than 1000 bytes"):
        client.show_report("r")


def test_address_and_token_come_from_the_environment(monkeypatch):
    monkeypatch.setenv(transport.TOKEN, TOKEN)
    monkeypatch.setenv(transport.ADDRESS, "https://plant.example/alerting")
    answers = Answers(json_answer([]))
    with Client(transport=httpx.MockTransport(answers)) as client:
        client.list_models()
    assert str(answers.requests[0].url) == "https://plant.example/alerting/api/v1/models"
    monkeypatch.delenv(transport.TOKEN)
    with pytest.raises(ClientError, match=r"give token=, or set ALERTING_TOKEN"):
        Client()


def test_no_message_has_the_token(pauses):
    answers = Answers(*(httpx.ConnectError("refused") for _ in range(3)))
    with connected(answers) as client:
        with pytest.raises(NoAnswer) as found:
            client.list_models()
        assert TOKEN not in repr(client) + str(found.value) + repr(vars(client))
    assert len(pauses) == 2
