"""Modules that frequent tasks use, loaded once by the process from which Airflow forks every task:
each task took .8 s of CPU to load them, and a few hundredths for its work."""

from alerting import wiring
from alerting.adapters.airflow import dag_snapshot
from alerting.adapters.archive import archived_readings
from alerting.adapters.channels import egress, log
from alerting.adapters.mlflow import mlflow_registry
from alerting.adapters.mongo import mongo
from alerting.kinds.registry import load_kinds
from alerting.usecases.evaluation import arrived
from alerting.usecases.notification import deliver
from alerting.usecases.training import due
from alerting.usecases.upkeep import maintain

__all__ = [
    "archived_readings",
    "arrived",
    "dag_snapshot",
    "deliver",
    "due",
    "egress",
    "log",
    "maintain",
    "mlflow_registry",
    "mongo",
    "wiring",
]

load_kinds()
