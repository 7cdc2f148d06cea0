"""Distribution of tests to processes: a file to one of them, and all files that start Airflow to
the same one.

Airflow needs most of a core while it starts and trains; two at once on two cores run into each
other's time limits. This share takes longest and often waits, so it is dealt first, and there is
one process more than cores.
"""

from xdist.scheduler import LoadFileScheduling

START_AIRFLOW = {
    "tests/e2e/test_report_dag.py",
    "tests/e2e/test_scheduler.py",
    "tests/integration/local/test_up_platform.py",
}
AIRFLOW = "Airflow"


class FileShares(LoadFileScheduling):
    """A scheduler of pytest-xdist whose shares are files, or all files that start Airflow."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return AIRFLOW if file in START_AIRFLOW else file

    def _assign_work_unit(self, node: object) -> None:
        if AIRFLOW in self.workqueue:
            self.workqueue.move_to_end(AIRFLOW, last=False)
        super()._assign_work_unit(node)
