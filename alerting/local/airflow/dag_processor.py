"""Airflow's DAG processor with DAG files of its own, which are marked when a revision is stored on
any host."""

import os
import signal
import subprocess
import sys
from threading import Thread
from types import FrameType

from alerting.adapters.airflow.dag_files import dag_folder, write_dag_files
from alerting.adapters.airflow.dag_marks import DagMarks
from alerting.adapters.embedded.mongod_access import address
from alerting.adapters.embedded.shared_mongod import data_folder
from alerting.adapters.mongo.mongo import connect
from alerting.definitions.faults import UserError
from alerting.local.processes import ending_with_this
from alerting.settings.environment import read_settings
from alerting.settings.logs import configure_logging

OPEN_WITHIN_S = 5.0


def main() -> int:
    """Run the DAG processor until it ends; return its exit code."""
    try:
        settings = read_settings(os.environ)
        write_dag_files(settings.home)
        uri = settings.mongodb_uri or address(data_folder(settings.home), settings.mongodb_port)
        client = connect(uri)
    except UserError as refusal:
        sys.stderr.write(f"refused: {refusal}\n")
        return 1
    configure_logging(os.environ)
    marks = DagMarks(client[settings.database], settings.home)
    Thread(target=marks.follow, daemon=True).start()
    # a revision that is stored from here on is seen: by a mark, or as the files are first read
    marks.is_open.wait(OPEN_WITHIN_S)
    folder = {"AIRFLOW__CORE__DAGS_FOLDER": str(dag_folder(settings.home))}
    processor = subprocess.Popen(
        ending_with_this((sys.executable, "-m", "alerting.local.airflow.dag_reader")),
        env=os.environ | folder,
    )

    def forward(number: int, _frame: FrameType | None) -> None:
        processor.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
    return processor.wait()


if __name__ == "__main__":
    sys.exit(main())
