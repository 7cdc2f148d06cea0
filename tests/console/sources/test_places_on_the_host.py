"""Places on the host: no change at the console, in however many steps, names one that was not given
on the host."""

from contextlib import suppress
from itertools import product

import pytest
from fastapi.testclient import TestClient

from alerting.adapters.sources.folder import FolderDrop
from alerting.adapters.sources.secrets import resolver
from alerting.adapters.sources.servers.remote import SourceFiles
from alerting.console.app import create_app
from alerting.definitions.faults import UserError
from alerting.definitions.sinks.sink import SINK_KINDS, parse_sink
from alerting.definitions.sources.source import KINDS, parse_source
from alerting.definitions.sources.union import (
    PATH_FIELDS,
    SERVED_PATH_FIELDS,
    new_host_paths,
)
from alerting.usecases.sources.documents import apply_sources
from alerting.usecases.sources.poll import Readers, poll
from tests.builders import at
from tests.helpers.console.api import ADMIN, TOKENS, expect_problem
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.fast
ADDRESSES = [{"env": "A_URL"}, {"env": "NOWHERE_URL"}, {"file": "/run/secrets/a"}]
CERTIFICATES = [
    {"ca": "/etc/a.pem"},
    {"certificate": "/etc/a.pem"},
    {"certificate": "/etc/a.pem", "key": "/etc/a.key"},
    {"certificate": "/etc/a.pem", "key": "/etc/b.key"},
]


def files_places():
    """Yield documents of a source of files: on the host, and at servers."""
    for url, pattern, folder in product([None, *ADDRESSES[:2]], ["/a/*", "/b"], [None, "/c"]):
        for field in ("done", "bad") if folder else (None,):
            found = {"kind": "files", "pattern": pattern}
            found |= {field: folder} if field else {}
            found |= {"url": url} if url else {}
            yield found
            if url and not folder:
                yield {**found, "key": "/etc/a.key"}
                yield {**found, "known_hosts": "/etc/a.key"}


def connected(kinds, **fields):
    """Yield documents of kinds with a server, each with and without certificates."""
    for kind, url in product(kinds, ADDRESSES):
        yield {"kind": kind, "url": url, **fields}
        yield from ({"kind": kind, "url": url, **fields, "tls": tls} for tls in CERTIFICATES)


NODE = {"nodes": {"ns=2;s=a": {"variable": "v", "asset": "a"}}}
ENCRYPTED = {
    "security": "encrypt",
    "tls": {"ca": "/etc/a.pem", "certificate": "/etc/a.pem", "key": "/etc/a.key"},
}
SOURCES = [
    {"kind": "http"},
    *files_places(),
    *connected(["mqtt", "amqp"], topic="a"),
    *({"kind": "sql", "url": url, "table": "t", "cursor": "c"} for url in ADDRESSES),
    *({"kind": "opcua", "url": url, **NODE} for url in ADDRESSES),
    *({"kind": "opcua", "url": url, **NODE, **ENCRYPTED} for url in ADDRESSES),
]
SINKS = [
    *connected(["mqtt"]),
    *({"kind": kind, "url": url} for kind in ("webhook", "sql") for url in ADDRESSES),
]


def places(document):
    """Return what a document does with paths of the host, as a reader of the documents would."""
    address = str(document.get("url"))
    served = SERVED_PATH_FIELDS if document["kind"] == "files" and "url" not in document else ()
    named = {f: document[f] for f in ("known_hosts", "key", *served) if f in document}
    named |= {f"tls.{field}": path for field, path in document.get("tls", {}).items()}
    return {(document["kind"], address, field, path) for field, path in named.items()}


@pytest.mark.parametrize("sort", ["source", "sink"])
def test_a_change_names_no_place_that_the_document_before_does_not_use(sort):
    parse, documents = (parse_source, SOURCES) if sort == "source" else (parse_sink, SINKS)
    parsed = [(one, parse({"name": "x", **one})) for one in documents]
    pairs = 0
    for after, given in parsed:
        assert bool(new_host_paths(given, None)) == bool(places(after)), after
        for before, used in parsed:
            added = places(after) - places(before)
            assert bool(new_host_paths(given, used)) == bool(added), (before, after)
            pairs += 1
    assert pairs == len(documents) ** 2 > 400


def test_every_field_that_is_a_path_is_compared():
    named = {
        field
        for model in (*KINDS.values(), *SINK_KINDS.values())
        for field, info in model.model_fields.items()
        if f"{info.description}".startswith(("File", "Folder", "Absolute path"))
    }
    assert named == {*PATH_FIELDS, *SERVED_PATH_FIELDS}


@pytest.fixture
def platform():
    made = in_memory_platform()
    made.clock.instant = at(600)
    return made


@pytest.fixture
def client(platform):
    readers = Readers(SourceFiles(FolderDrop(), resolver({})), None)
    return TestClient(create_app(platform, TOKENS, source_readers=lambda: readers), headers=ADMIN)


def apply_there(client, sort, name, document):
    """Apply a document at the console on whatever is there; return the answer."""
    path = f"/api/v1/{sort}s/{name}"
    there = client.get(path)
    match = {"if-match": there.headers["etag"]} if there.is_success else {"if-none-match": "*"}
    return client.put(path, json=document, headers=match)


@pytest.mark.parametrize("middle", [*files_places(), {"kind": "http"}, *SOURCES[-8:]])
def test_no_file_is_read_or_moved_in_two_steps(client, platform, tmp_path, middle):
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    name = "drop"
    apply_there(client, "source", name, middle)
    document = {"kind": "files", "pattern": str(secret), "bad": "/tmp/b", "unchanged_for": "0s"}
    apply_there(client, "source", name, {**document, "url": {"env": "NOWHERE_URL"}})
    refused = apply_there(client, "source", name, document)
    expect_problem(refused, 422)
    assert "on the host" in refused.json()["detail"]
    for answer in (
        client.post(f"/api/v1/sources/{name}:test"),
        client.post("/api/v1/sources:test", json={"name": name, **document}),
    ):
        assert "hunter2" not in answer.text
    assert secret.read_text() == "hunter2\n"


def test_a_key_stays_with_its_server(client, platform):
    used = {
        "name": "lab",
        "kind": "files",
        "url": {"env": "LAB_URL"},
        "key": "/etc/lab.key",
        "pattern": "/a/*",
    }
    apply_sources(platform, [used], "host", at(0))
    assert apply_there(client, "source", "lab", {**used, "pattern": "/b/*"}).status_code == 200
    other = apply_there(client, "source", "lab", {**used, "url": {"env": "OTHER_URL"}})
    expect_problem(other, 422)
    assert "source 'lab': key: a path on the host" in other.json()["detail"]


NO_TABLES = {
    "password": "hunter2\n",
    "two lines": "user\nhunter2\n",
    "environment": "MONGO=mongodb://a:hunter2@host\nKEY=hunter2\n",
    "passwd": "root:x:0:0:hunter2:/root\nann:hunter2:1:1::/home\n",
    "yaml": "user: ann\npassword: hunter2\n",
    "json": '{"user": "ann", "password": "hunter2"}',
    "key": "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n",
    "repeated": "hunter2,hunter2\n1,2\n",
    "commas": "hunter2,x\nhunter2,y\n",
    "semicolons": "a;b;c\nhunter2;hunter2;hunter2\n" * 9,
    "quotes": '"hunter2\n"hunter2"\n',
    "many": "\n".join(f"hunter2{n},b" for n in range(99)),
    "tabs": "ts\tasset\thunter2\nhunter2\ta\t1\n",
}
READ_AS = [
    {},
    {"time": "hunter2"},
    {"time": "root", "separator": ":"},
    {"asset": "a"},
    {"asset": "a", "time": "user", "separator": ":"},
    {"others": "ignore", "variables": {"x": {"name": "y"}}},
    {"bad_lines": "skip", "asset": "a", "time": "ts"},
    {"delivers": "events", "time": "a"},
    {"encoding": "latin-1", "time_format": "%d %m %Y", "asset_column": "b"},
]


@pytest.mark.parametrize("content", NO_TABLES)
def test_nothing_of_a_file_that_is_no_table_is_quoted(client, platform, tmp_path, content):
    file = tmp_path / "in" / "file"
    file.parent.mkdir()
    readers = Readers(SourceFiles(FolderDrop(), resolver({})), None)
    for number, read_as in enumerate(READ_AS):
        file.write_text(NO_TABLES[content])
        document = {"name": f"s{number}", "kind": "files", "pattern": str(file)}
        apply_sources(
            platform, [{**document, "unchanged_for": "0s", **read_as}], "host", at(number)
        )
        for look in ("sources/{}:test", "sources/{}"):
            ask = client.post if look.endswith("test") else client.get
            answer = ask(f"/api/v1/{look.format(f's{number}')}")
            assert "hunter2" not in answer.text.replace(str(read_as.get("time")), "")
        with suppress(UserError):
            poll(platform, readers, f"s{number}", at(number))
        for page in ("sources", f"sources/s{number}"):
            assert "hunter2" not in client.get(f"/api/v1/{page}").text.replace(
                '"time":"hunter2"', ""
            )
