"""Checks of source documents beside each other and beside what is stored."""

from contextlib import nullcontext

import pytest

from alerting.definitions.faults import DocumentRefused, UserError
from alerting.definitions.sources import parse_source
from alerting.usecases.sources.status import SOURCES
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.fast


FOLDERS = [
    ("/data/lab/*.csv", "/data/lab", True),
    ("/data/*/*.csv", "/data/done/", True),
    ("/data/*/*.csv", "/data/.done", False),
    ("/data/lab/*.csv", "/data/lab/done", False),
    ("/data/lab/in/*.csv", "/data/lab", False),
]


@pytest.mark.parametrize(("pattern", "folder", "is_refused"), FOLDERS)
def test_a_folder_of_stored_files_in_which_the_pattern_matches_is_refused(
    pattern, folder, is_refused
):
    document = {"name": "lab", "kind": "files", "pattern": pattern, "done": folder, "bad": folder}
    assert parse_source(document)  # one that is stored goes on
    with pytest.raises(UserError, match=r"done: (.|\n)*bad: ") if is_refused else nullcontext():
        SOURCES.check(in_memory_platform(), [document])


URL = {"name": "line", "url": {"env": "URL"}}
MQTT = URL | {"kind": "mqtt", "topic": "line-3/{asset}/readings"}
NODE = "ns=2;s=Oven1.Zone2"
OPC_UA = URL | {"kind": "opcua", "nodes": {NODE: {"variable": "x", "asset": "oven-1"}}}
FILES = {"name": "lab", "kind": "files", "pattern": "/in/*.csv"}
FAULTS = [
    (MQTT, {"topic": "a/#/b"}, ["topic"]),
    (MQTT, {"topic": "a/b+"}, ["topic"]),
    (MQTT, {"topic": "a/{machine!r}"}, ["topic"]),
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


@pytest.mark.parametrize(("plain", "changes", "fields"), FAULTS)
def test_faults_of_a_document_are_named_with_their_fields(plain, changes, fields):
    with pytest.raises(DocumentRefused) as refusal:
        parse_source(plain | changes)
    assert [fault.path for fault in refusal.value.faults] == fields
