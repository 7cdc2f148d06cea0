"""Modules of ours that frequent tasks use, loaded once by the process from which Airflow forks
every task.

Without it, each task took .9 s of CPU, on a Celery worker 1.7 s, to load modules and to compute the
hash of the database's schema, and a few hundredths for its work (docs/architecture.md).
"""

# ruff: noqa: F401 - the modules are here to be loaded

import gc

from pymongo.synchronous import auth

from alerting import wiring
from alerting.adapters import passwords_and_links
from alerting.adapters.airflow import dag_files
from alerting.adapters.memory import platform
from alerting.adapters.mlflow import file_cache, mlflow_registry
from alerting.adapters.mongo import mongo, running
from alerting.adapters.mongo.prepare import code_hash
from alerting.adapters.receivers import egress, log
from alerting.kinds.registry import load_kinds
from alerting.learning.features import compiled
from alerting.usecases import data_upkeep as maintain
from alerting.usecases.evaluation import arrived
from alerting.usecases.notification import delivery
from alerting.usecases.operators import links_and_misses as links_of_operators
from alerting.usecases.training import due

load_kinds()
code_hash()  # opening the database compares it
gc.freeze()  # forked tasks do not search, and so do not copy, what is loaded here
gc.set_threshold(100_000)  # tasks make many objects, and little garbage
