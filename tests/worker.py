"""A process of a lane: it takes one file of tests after the other from `tests.run`, and tells it
each outcome."""

import gc
import sys
import traceback
from collections.abc import Generator, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from tests.template_branches import TAKEN, record_branches

LAST_LINES = 25
MANY_MODULES = 100  # loaded, before the collector passes over them


class Worker:
    """A plugin of pytest that runs what the other end of a pipe asks for.

    It receives the path of a file, or None at the end; it sends a dictionary for each outcome, and
    one with `wants` when it has nothing to do.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._modules_frozen = 0
        record_branches()

    def pytest_collection(self, session: pytest.Session) -> bool:
        """Find the files; each is imported when its turn comes."""
        self._files: dict[Path, list[pytest.Item | pytest.Collector]] = {}
        for node in session.perform_collect(genitems=False):
            self._files.setdefault(node.path, []).append(node)
        return True

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run files until there are no more. What the session shares outlives each of them."""
        for items in self._collected_files(session):
            for item, following in zip(items, [*items[1:], session], strict=False):
                item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.shouldfail:
                    raise session.Failed(session.shouldfail)
                if session.shouldstop:
                    raise session.Interrupted(session.shouldstop)
        return True

    def _collected_files(self, session: pytest.Session) -> Iterator[Sequence[pytest.Item]]:
        """Yield the chosen tests of each file.

        Files are imported without the garbage collector; it passes over what libraries they load.
        """
        self._pipe.send({"wants": True})
        while (path := self._pipe.recv()) is not None:
            nodes = self._files[Path(path)]
            gc.disable()
            items = [item for node in nodes for item in session.genitems(node)]
            session.config.hook.pytest_collection_modifyitems(
                session=session, config=session.config, items=items
            )
            if len(sys.modules) > self._modules_frozen + MANY_MODULES:
                gc.collect()
                gc.freeze()
                self._modules_frozen = len(sys.modules)
            gc.enable()
            yield items
            self._pipe.send({"wants": True})

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Tell the branches of templates that were rendered, and what cannot be stopped."""
        self._pipe.send({"branches": sorted(TAKEN)})
        try:
            return (yield)
        except BaseException:
            lane = session.config.option.lane
            self._send(f"the end of the lane {lane}", "error", 0.0, traceback.format_exc())
            raise

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Tell of a file that could not be imported, or is skipped as a whole."""
        if not report.passed:
            self._send_report(report, report.outcome if report.skipped else "error", 0.0)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tell the time of each phase of a test, and its outcome once."""
        outcome = report.outcome if report.when == "call" or not report.passed else ""
        if hasattr(report, "wasxfail"):
            outcome = "xfailed"
        self._send_report(
            report,
            "error" if report.failed and report.when != "call" else outcome,
            report.duration,
        )

    def _send_report(
        self, report: pytest.CollectReport | pytest.TestReport, outcome: str, seconds: float
    ) -> None:
        text = report.longrepr[2] if report.skipped else report.longreprtext
        self._send(report.nodeid, outcome, seconds, text)

    def _send(self, test: str, outcome: str, seconds: float, text: str) -> None:
        last = "\n".join(text.splitlines()[-LAST_LINES:])
        self._pipe.send({"test": test, "outcome": outcome, "seconds": seconds, "text": last})
