"""Checks of source documents beside each other and beside what is stored."""

import pytest

from alerting.definitions.faults import UserError
from alerting.definitions.sources.source import SourceRefused, parse_source
from alerting.usecases.sources.documents import check_sources

pytestmark = pytest.mark.fast


FOLDERS = [
    ("/data/lab/*.csv", "/data/lab", True),
    ("/data/*/*.csv", "/data/done/", True),
    ("/data/*/*.csv", "/data/.done", False),
    ("/data/lab/*.csv", "/data/lab/done", False),
    ("/data/lab/in/*.csv", "/data/lab", False),
]


def refused_fields(pattern, folder):
    document = {"name": "lab", "kind": "files", "pattern": pattern, "done": folder, "bad": folder}
    assert parse_source(document)  # one that is stored goes on
    try:
        check_sources([document])
    except UserError as refusal:
        return [field for field in ("done", "bad") if f"{field}: " in str(refusal)]
    return []


def test_a_folder_of_stored_files_in_which_the_pattern_matches_is_refused():
    found = [(pattern, done, refused_fields(pattern, done)) for pattern, done, _ in FOLDERS]
    assert found == [(*one, ["done", "bad"] if refused else []) for *one, refused in FOLDERS]


URL = {"name": "line", "url": {"env": "URL"}}
MQTT = URL | {"kind": "mqtt", "topic": "line-3/{asset}/readings"}
NODE = "ns=2;s=Oven1.Zone2"
OPC_UA = URL | {"kind": "opcua", "nodes": {NODE: {"variable": "x", "asset": "oven-1"}}}
FILES = {"name": "lab", "kind": "files", "pattern": "/in/*.csv"}
FAULTS = [
    (MQTT, {"topic": "a/#/b"}, ["topic"]),
    (MQTT, {"topic": "a/b+"}, ["topic"]),
    (MQTT, {"topic": "a/{machine}"}, ["topic"]),
    (MQTT, {"payload": "value"}, ["topic", "stamp"]),
    (MQTT, {"stamp": "never"}, ["stamp"]),
    (OPC_UA, {"nodes": {NODE: {"variable": "x"}}}, ["nodes"]),
    (OPC_UA, {"nodes": {}}, ["nodes"]),
    (OPC_UA, {"nodes": {"Oven1.Zone2": {"variable": "x", "asset": "oven-1"}}}, ["nodes"]),
    (OPC_UA, {"asset": "oven-2"}, ["asset"]),
    (OPC_UA, {"delivers": "events"}, ["delivers"]),
    (OPC_UA, {"history": "60d"}, ["history"]),
    (OPC_UA, {"security": "encrypt"}, ["tls"]),
    (OPC_UA, {"quality": None}, ["quality"]),
    (FILES, {"key": "/k", "known_hosts": "/h"}, ["known_hosts", "key"]),
]


def faulty_fields(document):
    try:
        parse_source(document)
    except SourceRefused as refusal:
        return [fault.path for fault in refusal.faults]
    return []


def test_faults_of_a_document_are_named_with_their_fields():
    found = [(plain, changes, faulty_fields(plain | changes)) for plain, changes, _ in FAULTS]
    assert found == FAULTS
