"""The beginning of a document of each kind of source, for the editor."""

from collections.abc import Mapping

_ASSETS = """asset_column: asset   # or, if all rows are of one asset: asset: oven-1
stale_after: 15m
"""
STARTS: Mapping[str, str] = {
    "http": f"""name: line-3
kind: http   # programs send rows: POST /api/v1/readings?source=line-3
{_ASSETS}""",
    "files": f"""name: line-3-files
kind: files
url: {{env: LAB_FILES_URL}}   # files of this machine: apply the source there
pattern: /line-3/*.csv
every: 1m
{_ASSETS}""",
    "sql": f"""name: line-3-database
kind: sql
url: {{env: QUALITY_DB_URL}}
table: quality.results
cursor: id
time: measured_at
every: 1m
{_ASSETS}""",
    "mqtt": """name: line-3
kind: mqtt
url: {env: BROKER_URL}   # mqtts://user:password@broker:8883
topic: line-3/{asset}/{variable}
payload: value
stamp: receipt
""",
    "amqp": """name: line-3
kind: amqp
url: {env: BROKER_URL}   # amqps://user:password@broker/virtual-host
topic: line-3.{asset}.readings
""",
    "opcua": """name: line-3
kind: opcua
url: {env: OPCUA_URL}   # opc.tcp://user:password@server:4840
history: 8h
nodes:
  ns=2;s=Oven1.Zone2: {variable: zone_2, asset: oven-1}
""",
}
"""A document of each kind, to be completed."""
START = "name: new\nkind: {kind}\nurl: {{env: SERVER_URL}}\n"
"""That of a kind which a package adds."""
