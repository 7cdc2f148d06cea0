"""Contract of the stores of sinks: how far each has delivered, and its dead letters."""

from dataclasses import replace

from alerting.ports import SinkLetter, SinkMessage, SinkProgress, SinkStep
from tests.builders import at
from tests.helpers.contracts import each, having
from tests.helpers.contracts import step as call

MESSAGE = SinkMessage("out:e:1", "alarms", "too-hot", "oven-1", at(1), {"a": [1]}, "high")


def letter(number, minute=1):
    id = f"out:e:{number}"
    return SinkLetter(id, "out", replace(MESSAGE, key=id), "no", at(minute))


def step(position, sent=1, letters=(), alarms=None):
    return SinkStep(position, at(2), sent, 3, at(2), alarms or {}, letters)


def on_sinks(method, *given, **named):
    return call(f"sink_deliveries.{method}", *given, **named)


def shows(**wanted):
    """The progress of a sink has these values."""
    return on_sinks("progress", "out", gives=having(**wanted))


FIRST = letter(1)
SECOND = letter(2, minute=2)
STILL = replace(FIRST, reason="still no")
CLAIMS = {
    "a sink begins once, also after a fault": [
        on_sinks("progress", "out", gives=SinkProgress()),
        on_sinks("set_fault", "out", "away", at(0)),
        on_sinks("begin", "out", "a", at(1)),
        on_sinks("begin", "out", "z", at(9)),
        shows(position="a", until=at(1), sent=0, fault="away"),
        on_sinks("advance", "out", None, step("b"), gives=False),
        on_sinks("advance", "out", "a", replace(step("b"), selected="all"), gives=True),
        on_sinks("advance", "out", "b", step("c"), gives=True),
        shows(position="c", selected="all"),
    ],
    "only the process that stood there advances a sink, which may begin without a position": [
        on_sinks("begin", "out", None, at(1)),
        shows(position=None, until=at(1)),
        on_sinks("advance", "out", None, step("a"), gives=True),
        on_sinks("advance", "out", None, step("b"), gives=False),
        on_sinks("advance", "out", "a", step("b", sent=2), gives=True),
        shows(position="b", sent=3, left_out=6, until=at(2), sent_at=at(2), fault=None),
    ],
    "a fault stays since it came until something is delivered": [
        on_sinks("set_fault", "out", "away", at(1)),
        on_sinks("set_fault", "out", "still away", at(5)),
        shows(fault="still away", fault_at=at(1)),
        on_sinks("advance", "out", None, step("a", sent=0), gives=True),
        shows(fault=None, sent_at=None),
        on_sinks("set_fault", "out", "away", at(9)),
        shows(fault_at=at(9)),
    ],
    "the number of changes that are out never falls": [
        on_sinks("sent_alarms", "out", {"e"}, gives={}),
        on_sinks("advance", "out", None, step("a", alarms={"e": 3, "f": 1})),
        on_sinks("advance", "out", "a", step("b", alarms={"e": 2})),
        on_sinks("sent_alarms", "out", {"e", "f", "g"}, gives={"e": 3, "f": 1}),
        on_sinks("sent_alarms", "other", {"e"}, gives={}),
    ],
    "dead letters are kept whole and once, until they are sent again or removed": [
        on_sinks("advance", "out", None, step("a", letters=[SECOND, FIRST])),
        on_sinks("advance", "out", "a", step("b", letters=[letter(2, minute=9)])),
        on_sinks("letters", "out", 9, gives=[FIRST, SECOND]),
        on_sinks("letters", "out", 1, gives=[FIRST]),
        on_sinks("count_letters", "out", gives=2),
        on_sinks("count_letters", "other", gives=0),
        on_sinks("letters", "out", 9, again=True, gives=[]),
        on_sinks("retry_letters", "out", gives=2),
        on_sinks("letters", "out", 9, again=True, gives=each(id=[FIRST.id, SECOND.id])),
        on_sinks("replace_letter", STILL),
        on_sinks("remove_letters", [SECOND.id]),
        on_sinks("letters", "out", 9, gives=[STILL]),
        on_sinks("letters", "out", 9, again=True, gives=[]),
    ],
}


def test_the_stores_of_sinks_keep_every_claim(broken):
    assert broken(CLAIMS) == {}
