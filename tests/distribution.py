"""Distribution of tests to processes: a file to one of them, and all files that start Airflow to
the same one.

Airflow needs most of a core while it starts and trains; two at once on two cores run into each
other's time limits. This share takes longest, so it is dealt first, and after it the files that
take over a minute, so that no long one is left when all others are done. Many tests wait, so there
are two processes more than cores.
"""

from xdist.scheduler import LoadFileScheduling

START_AIRFLOW = {
    "tests/dags/test_report_dag.py",
    "tests/scenarios/platform/test_scheduler.py",
    "tests/cluster/test_cluster.py",
    "tests/local/test_up_platform.py",
}
AIRFLOW = "Airflow"
LONG = (
    "tests/scenarios/platform/test_real_data.py",
    "tests/scenarios/platform/test_tutorial.py",
    "tests/console/api/test_api_rubbish.py",
    "tests/usecases/backtest/test_backtest_classifier.py",
    "tests/usecases/training/test_training_memory.py",
    "tests/usecases/evaluation/test_evaluators_that_meet.py",
    "tests/learning/models/test_damaged_models.py",
    "tests/console/api/test_api_conformance.py",
    "tests/scenarios/platform/test_faults.py",
    "tests/dags/test_dag_folder.py",
    "tests/local/test_up_home.py",
    "tests/benchmarks/test_chance.py",
    "tests/console/api/test_api_limits.py",
    "tests/scenarios/platform/test_commands.py",
    "tests/cli/test_cli_output.py",
    "tests/kinds/forecast/test_forecast.py",
    "tests/learning/features/test_build.py",
    "tests/console/test_every_route.py",
    "tests/usecases/ingestion/test_import.py",
    "tests/demo/test_demo_line.py",
    "tests/learning/test_search_on_a_sample.py",
    "tests/local/upkeep/test_backup.py",
    "tests/usecases/training/test_unit_just_made.py",
)


class FileShares(LoadFileScheduling):
    """A scheduler of pytest-xdist whose shares are files, or all files that start Airflow."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return AIRFLOW if file in START_AIRFLOW else file

    def _assign_work_unit(self, node: object) -> None:
        """Deal the next share: the longest first."""
        first = next((share for share in (AIRFLOW, *LONG) if share in self.workqueue), None)
        if first is not None:
            self.workqueue.move_to_end(first, last=False)
        super()._assign_work_unit(node)
