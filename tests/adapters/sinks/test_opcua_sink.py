"""The document of a server of alarms: what it may say, its test, and a port that is taken."""

import socket
from threading import Event

import pytest

from alerting.adapters.sinks.opcua_alarms.sink import OpcUaAlarms
from alerting.definitions.faults import UserError
from alerting.definitions.sinks.sink import SinkRefused, parse_sink
from alerting.usecases.sinks.documents import plan_sink
from tests.helpers.opcua_alarms import plant
from tests.support import free_port


def document(**changes):
    return {
        "name": "control-room",
        "kind": "opcua_alarms",
        "folder": "/data/opcua",
        "accounts": ["scada"],
        **changes,
    }


def test_it_listens_on_this_machine_alone_unless_it_says_otherwise():
    sink = parse_sink(document())
    assert (sink.host, sink.port, sink.state) == ("127.0.0.1", 4841, "active")


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("accounts", {"accounts": []}),
        ("folder", {"folder": "opcua"}),
        ("folder", {"folder": "/data/../etc"}),
        ("sends", {"sends": ["alarms", "scores"]}),
        ("sends", {"sends": ["acknowledgements"]}),
        ("public_host", {"host": "0.0.0.0"}),  # noqa: S104 - refused
        ("port", {"port": 0}),
        ("host", {"host": "a b"}),
        ("policy", {"policy": "None"}),
    ],
)
def test_a_faulty_document_is_refused_with_its_field(field, changes):
    with pytest.raises(SinkRefused) as refused:
        parse_sink(document(**changes))
    assert field in str(refused.value)


def test_a_folder_is_given_on_the_host(in_memory):
    platform = plant(in_memory)
    with pytest.raises(UserError, match="alerting sink apply"):
        plan_sink(platform.sinks, document())


def test_its_test_says_where_it_would_listen_and_for_whom(made_certificates):
    given = document(folder=str(made_certificates.folder), port=free_port())
    sink = OpcUaAlarms(parse_sink(given), None)
    assert sink.probe(None) == (
        f"would listen at opc.tcp://127.0.0.1:{given['port']}/alerting, for 1 accounts and 1 "
        "certificates of clients"
    )


def test_a_folder_without_clients_is_a_fault_with_its_remedy(tmp_path):
    sink = OpcUaAlarms(parse_sink(document(folder=str(tmp_path / "none"))), None)
    with pytest.raises(UserError, match="make it"):
        sink.probe(None)


def test_a_port_that_is_taken_is_a_fault_with_its_remedy(in_memory, made_certificates):
    platform = plant(in_memory)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        given = document(folder=str(made_certificates.folder), port=taken.getsockname()[1])
        sink = OpcUaAlarms(parse_sink(given), None)
        assert sink.probe(None).startswith("listens at")
        with pytest.raises(UserError, match="see folder, host and port"):
            sink.serve(platform, Event())
