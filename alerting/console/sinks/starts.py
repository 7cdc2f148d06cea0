"""The beginning of a document of each kind of sink, for the editor."""

from collections.abc import Mapping

_ALARMS = "sends: [alarms, acknowledgements]   # also scores, forecasts\n"
SINK_STARTS: Mapping[str, str] = {
    "webhook": f"""name: mes
kind: webhook
url: {{env: MES_URL}}   # https://mes.plant/alarms
{_ALARMS}""",
    "mqtt": f"""name: scada
kind: mqtt
url: {{env: BROKER_URL}}   # mqtts://user:password@broker:8883
topic: alerting/{{asset}}/{{definition}}/{{sends}}
{_ALARMS}""",
    "sql": """name: reporting
kind: sql
url: {env: REPORTING_DB_URL}   # postgresql://user:password@host/name
table: alerting_{sends}
sends: [alarms, acknowledgements, scores, forecasts]
""",
}
"""A document of each kind, to be completed."""
