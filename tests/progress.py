"""Reports of a long run of tests: a failure at once, and at the end the files that took longest."""

from collections import Counter

LAST_LINES = 25
SLOWEST = 15


class Progress:
    """Prints reports of tests. One for a run, in the process that prints."""

    def __init__(self, terminal):
        self._terminal = terminal
        self._seconds = Counter()

    def pytest_runtest_logreport(self, report):
        """Add the time of a test to that of its file; print the end of the traceback of one that
        failed."""
        self._seconds[report.nodeid.partition("::")[0]] += report.duration
        if not report.failed:
            return
        self._terminal.write_line(f"\nFAILED {report.nodeid} ({report.when})", red=True)
        for line in report.longreprtext.splitlines()[-LAST_LINES:]:
            self._terminal.write_line(f"    {line}")

    def pytest_terminal_summary(self):
        """Print the files that took longest."""
        if len(self._seconds) <= SLOWEST:
            return
        self._terminal.section("slowest files")
        for name, seconds in self._seconds.most_common(SLOWEST):
            self._terminal.write_line(f"{seconds:8.1f} s  {name}")
