"""The platform as a provider of Airflow: connection, hook, operators, notifier, and events of
assets by which other DAGs are scheduled."""

from typing import Any

_HERE = __name__


def get_provider_info() -> dict[str, Any]:
    """Return what Airflow shows and loads of this provider."""
    name = "Alerting platform"
    return {
        "package-name": "alerting",
        "name": name,
        "description": "Alerts for production lines: documents, predictions, and events of alarms.",
        "connection-types": [
            {
                "connection-type": "alerting",
                "hook-class-name": f"{_HERE}.hooks.AlertingHook",
                "hook-name": name,
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "login", "port"],
                    "relabeling": {"host": "Address of the console", "password": "Token"},
                    "placeholders": {
                        "host": "https://alerting.plant.example",
                        "extra": '{"verify": "/etc/ssl/certs/plant-ca.pem"}',
                    },
                },
            }
        ],
        "hooks": [{"integration-name": name, "python-modules": [f"{_HERE}.hooks"]}],
        "operators": [{"integration-name": name, "python-modules": [f"{_HERE}.task_operators"]}],
        "notifications": [f"{_HERE}.notifier.AlertingNotifier"],
    }
