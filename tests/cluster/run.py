"""Start a cluster on this machine until Ctrl-C: `make cluster`.

Two workers for evaluation, one for long work; two APIs, two stream services, MLflow. Everything
lies in a temporary folder and is gone afterwards.
"""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from alerting.local import parts
from alerting.local.secrets import load_or_create
from tests.cluster.cluster import running_cluster
from tests.helpers.scheduler import end
from tests.support import free_port

QUEUES = {"worker-1": "evaluation", "worker-2": "evaluation", "worker-3": "background"}


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="alerting-cluster-") as name, ExitStack() as stack:
        folder = Path(name)
        mlflow_port = free_port()
        uri = f"http://127.0.0.1:{mlflow_port}"
        cluster = stack.enter_context(running_cluster(folder, QUEUES, ALERTING_MLFLOW_URI=uri))
        settings = replace(cluster.settings, mlflow_port=mlflow_port)
        secrets = load_or_create(settings.home / "secrets")
        environ = parts.environment(settings, secrets, os.environ)
        used = environ | {"ALERTING_MLFLOW_URI": uri}
        mlflow = parts.mlflow_part(settings, environ)
        alone = mlflow.command[: mlflow.command.index("--no-serve-artifacts")]
        served = ("--artifacts-destination", str(folder / "artifacts"))
        started = [replace(mlflow, command=(*alone, *served))]
        ports = [settings.api_port, free_port()]
        for number, port in enumerate(ports, 1):
            own = replace(settings, api_port=port)
            api = parts.api_part(own, used | {"ALERTING_API_PORT": str(port)}, ())
            started.append(replace(api, name=f"api-{number}"))
        for number in (1, 2):
            stream = parts.stream_part(settings, used, ())
            alive = str(settings.home / "logs" / f"stream-{number}.alive")
            started.append(
                replace(stream, name=f"stream-{number}", command=(*stream.command[:-1], alive))
            )
        for part in started:
            with (settings.home / "logs" / f"{part.name}.log").open("wb") as log:
                process = subprocess.Popen(
                    part.command, env=part.environ, stdout=log, stderr=log, start_new_session=True
                )
            stack.callback(end, process)
            stack.callback(process.terminate)
        cluster.airflow.http.patch(
            "/dags", params={"dag_id_pattern": "~"}, json={"is_paused": False}
        ).raise_for_status()
        token = secrets.api_tokens["engineer"]
        print(f"APIs     {' '.join(f'http://127.0.0.1:{port}' for port in ports)}  token {token}")
        print(f"Airflow  {parts.airflow_uri(settings)}  admin / {secrets.airflow_password}")
        print(f"MLflow   {uri}")
        print(f"MongoDB  {settings.mongodb_uri}")
        print(f"homes and logs: {folder}; workers: {' '.join(cluster.workers)}; Ctrl-C stops all")
        sys.stdout.flush()
        try:
            signal.pause()
        except KeyboardInterrupt:
            print("stopping", flush=True)


if __name__ == "__main__":
    main()
