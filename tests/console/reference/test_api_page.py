"""The page of the API: every operation with an example that the API itself takes."""

import json
import re
import shlex
from html import unescape

import jsonschema
import pytest

from alerting.console.api.examples import EXAMPLES
from tests.helpers.console.api import ADMIN, VIEWER, client, platform  # noqa: F401 - fixtures

JSON = "application/json"


@pytest.fixture
def description(client):  # noqa: F811
    return client.get("/api/v1/openapi.json", headers=ADMIN).json()


def operations_of(description):
    return [
        (method.upper(), path, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_operation_is_on_the_page_of_its_subject(client, description):  # noqa: F811
    index = client.get("/api", headers=VIEWER).text
    subjects = {operation["tags"][0] for _, _, operation in operations_of(description)}
    assert set(re.findall(r'href="/api\?subject=(\w+)"', index)) == subjects
    for subject in subjects:
        page = client.get("/api", params={"subject": subject}, headers=VIEWER).text
        shown = set(re.findall(r'<details class="[^"]*" id="(\w+)"', page))
        assert shown == {
            operation["operationId"]
            for _, _, operation in operations_of(description)
            if operation["tags"] == [subject]
        }
        lines = re.findall(r"client\.(\w+)\(", unescape(page))
        assert set(lines) == shown


def test_an_unknown_subject_is_not_found(client):  # noqa: F811
    assert client.get("/api?subject=nothing", headers=VIEWER).status_code == 404


def test_every_body_that_people_write_has_an_example_of_its_schema(description):
    schemas = description["components"]["schemas"]
    for _, path, operation in operations_of(description):
        part = operation.get("requestBody", {}).get("content", {}).get(JSON)
        if part is None:
            continue
        name = re.search(r"schemas/(\w+)", json.dumps(part["schema"]))[1]
        (example,) = schemas[name]["examples"]
        whole = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
        jsonschema.validate(example, whole, cls=jsonschema.Draft202012Validator)
        assert example, path


def test_the_lines_of_curl_are_requests_that_the_api_understands(client):  # noqa: F811
    row = EXAMPLES["ReadingBody"]  # so that the plant of the examples is there
    assert client.post("/api/v1/readings", json=row, headers=ADMIN).json()["new"] == 1
    index = client.get("/api", headers=VIEWER).text
    sent = 0
    for subject in sorted(set(re.findall(r'href="/api\?subject=(\w+)"', index))):
        page = unescape(client.get("/api", params={"subject": subject}, headers=ADMIN).text)
        for line in re.findall(r"<pre[^>]*>(curl .*?)</pre>", page):
            words = shlex.split(line)
            given = dict(zip(words[1:-1:2], words[2:-1:2], strict=True))
            method = given.get("-X", "GET")
            headers = dict(word.split(": ", 1) for word in words if re.match(r"[\w-]+: ", word))
            headers = ADMIN | {name: v for name, v in headers.items() if name != "Authorization"}
            address = words[-1].removeprefix("http://testserver")
            if "-T" in given or address.endswith((":test", "/test")):
                continue  # a file, or another machine
            content = given.get("-d", "").encode() or None
            answer = client.request(method, address, headers=headers, content=content)
            # 404 and the like: this platform has nothing of the example's name
            assert answer.status_code not in {400, 405, 411, 428, 500}, (line, answer.text)
            if answer.status_code == 422:
                assert "faults" not in answer.json(), (line, answer.text)
            sent += 1
    assert sent > 60
