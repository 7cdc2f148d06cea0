"""Routes are checked against the configured channels before any is stored; only changes are written
and audited."""

import pytest

from alerting.adapters.memory.episodes import MemoryAudit
from alerting.adapters.memory.plant import MemoryDocumentStore
from alerting.definitions.faults import UserError
from alerting.ports import RoutePorts
from alerting.usecases.notification.routing import ROUTES
from tests.builders import at

pytestmark = pytest.mark.fast
ROUTE = {"name": "ovens", "channels": ["shift"]}


@pytest.fixture
def ports():
    return RoutePorts(routes=MemoryDocumentStore(), channels={"shift": None}, audit=MemoryAudit())


def test_an_unchanged_route_is_not_written_again_and_a_removed_one_is_audited(ports):
    given = [ROUTE, ROUTE, {**ROUTE, "repeat": "1h"}]
    plans = [ROUTES.apply(ports, [one], "ann", at(n)) for n, one in enumerate(given)]
    assert [plan.action for [plan] in plans] == ["new", "unchanged", "changed"]
    ROUTES.remove(ports, "ovens", "ann", at(3))
    assert [(entry["what"], entry["at"]) for entry in ports.audit.entries] == [
        ("route applied", at(0)),
        ("route applied", at(2)),
        ("route removed", at(3)),
    ]
    with pytest.raises(UserError, match="there is no route 'ovens'"):
        ROUTES.remove(ports, "ovens", "ann", at(4))


def test_one_unknown_channel_stops_all_routes_of_a_command(ports):
    misspelt = {"name": "nights", "channels": ["shfit"]}
    named = r"(?s)nights.*no channel is called 'shfit'.*did you mean shift"
    with pytest.raises(UserError, match=named):
        ROUTES.apply(ports, [ROUTE, misspelt], "ann", at(0))
    assert (ports.routes.documents(), ports.audit.entries) == ([], [])
