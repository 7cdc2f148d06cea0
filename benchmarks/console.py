"""Pages of the console with 100,000 episodes, against the bare query of what the page shows, on the same server.

The slowest page counts; each is asked over HTTP from a real server process's application, logged in, and answers as HTML.
"""

import gc
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.definitions.assets import Asset, Variable
from alerting.detection.evaluation import Evaluation
from alerting.episodes.episode import Contribution, Episode, Notification, Settlement, Transition, episode_id
from alerting.pipelines.definitions import apply
from alerting.settings import Settings
from alerting.stores.embedded_mongod import EmbeddedMongod
from alerting.stores.episodes import _document
from alerting.stores.indexes import EPISODES
from alerting.stores.mongo import MongoStores, open_stores
from alerting.wiring import assemble
from benchmarks.import_rate import _free_port

MANY, DEFINITIONS, ASSETS, OPEN = 100_000, 100, 100, 100
START = datetime(2026, 1, 5, tzinfo=UTC)
TOKEN = "benchmark-token-0123456789"
ROUNDS = 15
GOAL_MS = 200
