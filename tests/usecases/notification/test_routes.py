"""Routes are checked against the configured channels before any is stored; only changes are written
and audited."""

import pytest

from alerting.adapters.memory.definitions import MemoryRoutes
from alerting.adapters.memory.operators import MemoryAudit
from alerting.definitions.faults import UserError
from alerting.ports import RoutePorts
from alerting.usecases.notification.routes import apply_routes, remove_route
from tests.builders import at

pytestmark = pytest.mark.fast


@pytest.fixture
def ports():
    return RoutePorts(
        routes=MemoryRoutes(),
        channels={"shift": None},
        audit=MemoryAudit(),
    )


def test_an_unchanged_route_is_not_written_again(ports):
    route = {"name": "ovens", "channels": ["shift"]}
    assert [plan.action for plan in apply_routes(ports, [route], "ann", at(0))] == ["new"]
    assert [plan.action for plan in apply_routes(ports, [route], "ann", at(1))] == ["unchanged"]
    assert [
        plan.action for plan in apply_routes(ports, [{**route, "repeat": "1h"}], "ann", at(2))
    ] == ["changed"]
    assert [(entry["what"], entry["at"]) for entry in ports.audit.entries] == [
        ("route applied", at(0)),
        ("route applied", at(2)),
    ]


def test_one_unknown_channel_stops_all_routes_of_a_command(ports):
    with pytest.raises(
        UserError, match=r"(?s)nights.*no channel is called 'shfit'.*did you mean shift"
    ):
        apply_routes(
            ports,
            [{"name": "ovens", "channels": ["shift"]}, {"name": "nights", "channels": ["shfit"]}],
            "ann",
            at(0),
        )
    assert (ports.routes.documents(), ports.audit.entries) == ([], [])


def test_a_removed_route_is_audited_and_cannot_be_removed_twice(ports):
    apply_routes(ports, [{"name": "ovens", "channels": ["shift"]}], "ann", at(0))
    remove_route(ports, "ovens", "ann", at(1))
    assert ports.audit.entries[-1]["what"] == "route removed"
    with pytest.raises(UserError, match="there is no route 'ovens'"):
        remove_route(ports, "ovens", "ann", at(2))
