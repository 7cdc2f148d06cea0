"""Topics, subjects and tables of messages, from the pattern of a sink."""

from alerting.definitions.sinks.fields import BrokerSink, fill_pattern
from alerting.ports import SinkMessage


def topic_of(sink: BrokerSink, message: SinkMessage) -> str:
    """Return the topic of a message. A value has no severity: its level is `none`."""
    values = {
        "asset": message.asset,
        "definition": message.definition,
        "severity": message.severity or "none",
        "sends": message.sends,
    }
    return fill_pattern(sink.topic, values, sink.separator)
