import socket

import pytest

from alerting.definitions.faults import UserError
from alerting.settings.machine import check_ports, free_port

pytestmark = pytest.mark.fast


@pytest.mark.parametrize("address", ["127.0.0.1", ""], ids=["this machine alone", "all addresses"])
def test_a_taken_port_is_named_with_the_setting_that_moves_it(address):
    with socket.create_server((address, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(
            UserError, match=rf"port {port} is taken .* set ALERTING_MLFLOW_PORT to a free one"
        ):
            check_ports({"mlflow_port": port, "api_port": free_port()})


def test_every_taken_port_is_said_at_once():
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        ports = {"api_port": one.getsockname()[1], "airflow_port": two.getsockname()[1]}
        with pytest.raises(UserError, match=r"ALERTING_API_PORT.*; .*ALERTING_AIRFLOW_PORT"):
            check_ports(ports)


def test_free_ports_pass():
    check_ports({"api_port": free_port()})
