"""Setup and fixtures of all tests."""

import gc
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
from multiprocessing.connection import Connection
from multiprocessing.util import Finalize
from pathlib import Path

import pytest
from hypothesis import settings

from tests.helpers import lane_stores
from tests.lanes import holds_tests, lane_of
from tests.worker import Worker

# A shell starts a background build with Ctrl-C ignored, and every process would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What libraries and killed processes leave behind goes with the run; pytest keeps its own folders.
BEFORE = os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
for old in Path(BEFORE).glob("alerting-tests-*-*"):
    if not Path("/proc", old.name.split("-")[2]).exists():  # its process was killed
        shutil.rmtree(old, ignore_errors=True)
TEMPORARY = tempfile.mkdtemp(prefix=f"alerting-tests-{os.getpid()}-", dir=BEFORE)
os.environ["TMPDIR"] = tempfile.tempdir = TEMPORARY
# after multiprocessing has removed its own folder in there
Finalize(None, shutil.rmtree, (TEMPORARY, True), exitpriority=-200)
# `alerting up` records its home there: the developer's own record stays unchanged.
os.environ["XDG_STATE_HOME"] = TEMPORARY

# Mail servers in threads of tests: their start may take long on a busy machine, and what they log
# would be printed among the reports of tests, since importing Airflow prints every logger.
os.environ["AIOSMTPD_CONTROLLER_TIMEOUT"] = "600"
logging.getLogger("mail.log").setLevel(logging.ERROR)

# Examples of each Hypothesis test that states no number of its own, by HYPOTHESIS_PROFILE.
EXAMPLES = {"quick": 20, "ci": 100, "night": 500}
USUAL_PROFILE = "ci" if os.environ.get("CI", "").lower() == "true" else "quick"
for profile, examples in EXAMPLES.items():
    # A busy machine must not fail an example; separate tests measure time.
    settings.register_profile(profile, max_examples=examples, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", USUAL_PROFILE))

ENDED_SERVERS = []
TOLD = set()  # modules that a lane does without, and whose first load was told


def pytest_addoption(parser):
    """Add what `tests.run` starts a process of a lane with."""
    parser.addoption("--lane", help="only the tests of a lane (tests/lanes.py)")
    parser.addoption("--pipe", type=int, help="a pipe that names one file of tests after the other")


def pytest_configure(config):
    """Take files from the process that runs the lanes."""
    if config.option.pipe is not None:
        config.pluginmanager.register(Worker(Connection(config.option.pipe)))


def pytest_ignore_collect(collection_path, config):
    """Import the files of the lane alone."""
    name = config.option.lane
    return True if name is not None and not holds_tests(collection_path, name) else None


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    """Collect without the garbage collector; it passes over all that was loaded until then."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Refuse a file that imports what its lane does without."""
    report = yield
    if isinstance(collector, pytest.Module) and report.passed and (fault := too_much(collector)):
        report.outcome = "failed"
        report.longrepr = fault
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item):
    """Fail a test that loads what its lane does without."""
    result = yield
    if fault := too_much(item):
        pytest.fail(fault, pytrace=False)
    return result


def too_much(node):
    """Return which modules are loaded now that the lane does without; each is told once."""
    if node.config.option.lane is None:
        return None
    lane = lane_of(node.path)
    loaded = sorted(lane.never & sys.modules.keys() - TOLD)
    TOLD.update(loaded)
    return f"{node.nodeid} loads {loaded}, without which the lane {lane.name} runs" * bool(loaded)


@pytest.fixture(scope="session")
def real_mongod(tmp_path_factory):
    """Return the session's one real server."""
    from alerting.adapters.mongo.embedded_mongod import EmbeddedMongod
    from tests.support import free_port, require_real_server

    require_real_server()
    with EmbeddedMongod(tmp_path_factory.mktemp("mongod"), free_port()) as server:
        threading.Thread(target=report_end, args=(server.pid,), daemon=True).start()
        yield server


@pytest.fixture(scope="session")
def real_server(real_mongod):
    """Return the URI of the session's one real server; each user takes its own database."""
    return real_mongod.uri


@pytest.fixture(scope="session", autouse=True)
def lane_server(request):
    """Tell platforms in memory where the server is, on which their other stores are."""
    lane_stores.SERVER[:] = [lambda: request.getfixturevalue("real_server")]


@pytest.fixture(scope="session")
def two_prepared(real_server):
    """Return stores of two prepared databases for all tests: to prepare one takes a second."""
    from alerting.adapters.mongo.mongo import open_stores

    with (
        open_stores(real_server, "contracts", prepare=True) as one,
        open_stores(real_server, "contracts-2", prepare=True) as other,
    ):
        yield one, other


@pytest.fixture(scope="session")
def commands(tmp_path_factory):
    """Return the command `alerting` as a function of its words, folder and environment."""
    from tests.helpers.forked import alerting_commands

    with alerting_commands(tmp_path_factory.mktemp("commands")) as started:
        yield started


def report_end(pid):
    """Record how and during which test a child process ended, without collecting it."""
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    during = os.environ.get("PYTEST_CURRENT_TEST", "no test")
    ENDED_SERVERS.append(
        f"the session's MongoDB server ended with status {ended.si_status} during {during}"
    )


def pytest_runtest_setup(item):
    """Fail each test with the reason, once the session's server has ended."""
    if ENDED_SERVERS and "real_server" in item.fixturenames:
        pytest.fail(ENDED_SERVERS[0], pytrace=False)
