"""Orders maintenance when an alarm is raised. Put this file into `own_dags` of the platform's home.

It needs two connections: `alerting_default`, of the type `Alerting platform` (address of the
console, token of the role operator), and `maintenance`, whose host is the address at which the
maintenance system takes orders.
"""

import httpx
from airflow.sdk import Asset, BaseHook, dag, task

from alerting.airflow_provider.hooks import AlertingHook

ALARM = Asset("alerting://oven-too-hot/alarm")


@task(retries=3)
def order(triggering_asset_events):
    """Order maintenance for each alarm, and note that on the alarm. An event may come twice, so the
    maintenance system must take an order with the same key once."""
    platform = AlertingHook()
    address = BaseHook.get_connection("maintenance").host
    for event in triggering_asset_events[ALARM]:
        for alarm in event.extra["alarms"]:
            episode = platform.call("show_episode", alarm["episode"])
            text = f"{episode['title']}: {episode['reason']}"
            sent = {"key": alarm["episode"], "machine": alarm["asset"], "text": text}
            httpx.post(address, json=sent).raise_for_status()
            comment = {"comment": "Maintenance is ordered."}
            platform.call("comment_on_episode", alarm["episode"], comment)


@dag(schedule=[ALARM], tags=["maintenance"], default_args={"owner": "maintenance"})
def order_maintenance():
    """Order maintenance for alarms of the oven."""
    order()


order_maintenance()
