"""Plugin that shows the platform on Airflow's pages: a link to the console, and a note on the
triggerer. On SQLite it lets Airflow's API change one thing at a time.
"""

import os
from typing import Any, ClassVar

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from alerting.adapters.airflow.one_writer import OneWriter
from alerting.settings.environment import read_settings
from alerting.wiring import console_address

NO_TRIGGERER = (
    " **The triggerer is off on purpose.** No task of this platform needs one: a training that "
    "waits for an approval is parked by the scheduler. The red mark under *Health* is not a fault. "
    "`ALERTING_TRIGGERER=1` starts it for DAGs of your own."
)


_SETTINGS = read_settings(os.environ)
_CONSOLE = console_address(_SETTINGS)


class AlertingPlugin(AirflowPlugin):  # type: ignore[misc]
    """Add a link under Browse, which opens in a new tab: Airflow 3.3 draws a link of the top level
    as a button without effect.

    The home page names the console, and states why the triggerer is off.
    """

    name = "alerting"
    external_views: ClassVar[list[dict[str, Any]]] = [
        {"name": "Alerting console", "href": _CONSOLE, "destination": "nav", "category": "browse"}
    ]
    fastapi_root_middlewares: ClassVar[list[dict[str, Any]]] = (
        [{"name": "one writer", "middleware": OneWriter}]
        if conf.get("database", "sql_alchemy_conn").startswith("sqlite")
        else []
    )

    @classmethod
    def on_load(cls, *args: Any, **kwargs: Any) -> None:  # noqa: ARG003 - Airflow's signature
        """Put the note on the home page. Idempotent."""
        from airflow import settings  # noqa: PLC0415 - is set up when plugins are loaded
        from airflow.api_fastapi.common.types import UIAlert  # noqa: PLC0415

        text = f"Alerts are handled in the [alerting console]({_CONSOLE})."
        text += "" if _SETTINGS.triggerer else NO_TRIGGERER
        if not any(alert.text == text for alert in settings.DASHBOARD_UIALERTS):
            settings.DASHBOARD_UIALERTS.append(UIAlert(text=text, category="info"))
