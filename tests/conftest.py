"""What holds for every test."""

import os
import signal
import tempfile
import threading

import pytest
from hypothesis import settings

# A build that runs in the background of a shell is started with Ctrl-C ignored, and every process would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# `alerting up` records its home there: the record of the person who runs the tests stays as it is.
os.environ["XDG_STATE_HOME"] = os.path.join(tempfile.gettempdir(), f"alerting-tests-state-{os.getuid()}")  # noqa: PTH118

# A busy machine is no fault of an example: what must be quick has a test that says so.
settings.register_profile("any machine", settings(), deadline=None)
settings.load_profile("any machine")

ENDED_SERVERS = []


@pytest.fixture(scope="session")
def real_server(tmp_path_factory):
    """URI of the one real server of this session; whoever uses it takes a database of its own."""
    from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
    from tests.support import free_port, require_real_server

    require_real_server()
    with EmbeddedMongod(tmp_path_factory.mktemp("mongod"), free_port()) as server:
        threading.Thread(target=report_end, args=(server.pid,), daemon=True).start()
        yield server.uri


def report_end(pid):
    """Record how and during which test a child process ended, without collecting it."""
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    during = os.environ.get("PYTEST_CURRENT_TEST", "no test")
    ENDED_SERVERS.append(f"the session's MongoDB server ended with status {ended.si_status} during {during}")


def pytest_runtest_setup(item):
    """Say of each test why it cannot run once the session's server has ended."""
    if ENDED_SERVERS and "real_server" in item.fixturenames:
        pytest.fail(ENDED_SERVERS[0], pytrace=False)
