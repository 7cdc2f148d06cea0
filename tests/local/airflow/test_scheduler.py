"""The scheduler's server of task processes is started before Airflow is loaded, and used by it."""

import json
import subprocess
import sys

AS_AIRFLOW_DOES = """
import json, multiprocessing, os, sys
from alerting.local.airflow.scheduler import EXECUTOR, PRELOAD, start_server_of_tasks

def look(found):
    found.put(["colorsys" in sys.modules, "chunk" in sys.modules])

if __name__ == "__main__":
    start_server_of_tasks({EXECUTOR: "LocalExecutor", PRELOAD: "colorsys"})
    early = "airflow" not in sys.modules
    multiprocessing.set_start_method("forkserver", force=True)
    multiprocessing.set_forkserver_preload(["chunk"])
    found = multiprocessing.SimpleQueue()
    task = multiprocessing.Process(target=look, args=(found,))
    task.start()
    print(json.dumps([early, *found.get()]))
    task.join()
"""


def test_airflow_finds_the_server_that_was_started_before_it_was_loaded(tmp_path):
    script = tmp_path / "scheduler_of_a_test.py"
    script.write_text(AS_AIRFLOW_DOES)
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    early, own_module, module_of_airflow = json.loads(done.stdout)
    assert early
    assert own_module
    assert not module_of_airflow
