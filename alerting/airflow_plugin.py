"""Airflow's menu links to the alerting console. This is the only module of the package that imports Airflow."""

import os
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from alerting.settings import LOOPBACK, read_settings


class AlertingPlugin(AirflowPlugin):  # type: ignore[misc]
    """Adds one link; without a route of its own Airflow opens it in a new tab."""

    name = "alerting"
    external_views: ClassVar[list[dict[str, Any]]] = [
        {
            "name": "Alerting console",
            "href": f"http://{LOOPBACK}:{read_settings(os.environ).api_port}/",
            "destination": "nav",
            "nav_top_level": True,
        }
    ]
