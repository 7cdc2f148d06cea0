"""Outcomes of tests as lines of JSON: written by the process of a lane, read by `tests.run`."""

import json
from pathlib import Path

from tests.template_branches import TAKEN, record_branches

LAST_LINES = 25


class Outcomes:
    """A plugin of pytest that writes each outcome at once."""

    def __init__(self, file: Path) -> None:
        self._file = file
        record_branches()

    def pytest_collection_finish(self, session) -> None:
        """Write how many tests there are."""
        self._write(tests=len(session.items))

    def pytest_sessionfinish(self) -> None:
        """Write the branches of templates that were rendered."""
        self._write(branches=sorted(TAKEN))

    def pytest_collectreport(self, report) -> None:
        """Write a file that could not be imported, or is skipped as a whole."""
        if not report.passed:
            self._write_report(report, report.outcome if report.skipped else "error", 0.0)

    def pytest_runtest_logreport(self, report) -> None:
        """Write the time of each phase of a test, and its outcome once."""
        outcome = report.outcome if report.when == "call" or not report.passed else ""
        if hasattr(report, "wasxfail"):
            outcome = "xfailed"
        self._write_report(
            report,
            "error" if report.failed and report.when != "call" else outcome,
            report.duration,
        )

    def _write_report(self, report, outcome: str, seconds: float) -> None:
        text = report.longrepr[2] if report.skipped else report.longreprtext
        lines = text.splitlines()[-LAST_LINES:]
        self._write(test=report.nodeid, outcome=outcome, seconds=seconds, text="\n".join(lines))

    def _write(self, **line: object) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
