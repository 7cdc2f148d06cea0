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
    "amqp": f"""name: mes
kind: amqp
url: {{env: BROKER_URL}}   # amqps://user:password@broker/virtual-host
topic: alerting.{{asset}}.{{definition}}.{{sends}}
{_ALARMS}""",
    "kafka": f"""name: plant-events
kind: kafka
url: {{env: KAFKA_URL}}   # kafkas://user:password@broker:9093
topic: alerting.{{sends}}
{_ALARMS}""",
    "nats": f"""name: plant-events
kind: nats
url: {{env: NATS_URL}}   # tls://user:password@server:4222
topic: alerting.{{asset}}.{{definition}}.{{sends}}
{_ALARMS}""",
    "redis": f"""name: plant-events
kind: redis
url: {{env: REDIS_URL}}   # rediss://user:password@server:6379/0
topic: alerting:{{sends}}
{_ALARMS}""",
    "alertmanager": """name: alertmanager
kind: alertmanager
url: {env: ALERTMANAGER_URL}   # http://alertmanager:9093
""",
    "sql": """name: reporting
kind: sql
url: {env: REPORTING_DB_URL}   # postgresql://user:password@host/name
table: alerting_{sends}
sends: [alarms, acknowledgements, scores, forecasts]
""",
    "parquet": """name: power-bi
kind: parquet
folder: /data/alerting   # of the host: apply the sink there
every: 5m
sends: [alarms, scores, forecasts]
""",
    "opcua_alarms": """name: control-room
kind: opcua_alarms
folder: /data/opcua   # of the host: apply the sink there
accounts: [scada]
""",
}
"""A document of each kind, to be completed."""
