"""The name under which a part of the cluster appears in Airflow's rows, as if on a host of its
own."""

import os
import socket

HOST = "CLUSTER_HOST"


def name() -> str:
    """Return the name that the environment gives to this part, else that of the machine."""
    return os.environ.get(HOST) or socket.gethostname()
