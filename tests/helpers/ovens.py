"""Ovens that get too hot, in the life of a plant: readings, acts of people, and rounds of
evaluation and delivery."""

from alerting.definitions.asset_documents import EventType
from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.operators.operate import Actor
from tests.builders import at, oven, too_hot
from tests.helpers.mutes import mute_target, unmute_targets
from tests.in_memory_platform import HandClock, Mailbox, memory_platform, platform_on

ANN = Actor("ann", "operator")
EVE = Actor("eve", "engineer")


def ovens(count):
    return [oven().model_copy(update={"name": f"oven-{n}"}) for n in range(1, count + 1)]


def oven_platform(*channels, on=None, count=1, **changes):
    """Return a platform with ovens, and one definition for all of them with these changes."""
    platform = platform_on(on or memory_platform(), channels, HandClock())
    platform.assets.store_assets(ovens(count))
    platform.assets.put_event_types([EventType(name="maintenance", duration="lasting")])
    define(platform, 0, **changes)
    return platform


def define(platform, minute, reason="test", **changes):
    document = too_hot(**{"assets": ["oven-*"], "stale_after": "1d", **changes})
    apply(platform, [document], "engineer", at(minute), reason)


def feed(platform, minute, value, count=1):
    rows = [ReadingRow(one.name, at(minute), {"temperature": value}) for one in ovens(count)]
    add_readings(platform, rows, at(minute))


def run(platform, *minutes):
    for minute in minutes:
        platform.clock.instant = at(minute)
        evaluate(platform, None, at(minute))
        deliver_due(platform, at(minute))


def told(mailbox):
    """The kind of each message: `raised`, `closed`, `unmuted`, …"""
    return [message.key.split(":")[1].split("-")[0] for message in mailbox.messages]


def the_episode(platform):
    [one] = platform.episodes.find()
    return one


def live(platform, *story):
    """Let things happen at minutes, each before a round: a number is a reading of the oven, a text
    the state of its line, and a function an act. Return the minute and kind of each message."""
    mail = next(iter(platform.channels.values()), Mailbox("none"))
    heard = []
    for minute, *things in story:
        before = len(mail.messages)
        for thing in things:
            if callable(thing):
                thing(platform, minute)
            elif isinstance(thing, str):
                row = ReadingRow("line-1", at(minute), {"line_state": thing})
                add_readings(platform, [row], at(minute))
            else:
                feed(platform, minute, thing)
        run(platform, minute)
        heard += [(minute, kind) for kind in told(mail)[before:]]
    return heard


# --- acts
# --------------------------------------------------------------------------------------------------


def muted(until, by=ANN, kind="plain"):
    end = None if until is None else at(until)
    target = ("too-hot", "oven-1", by)
    return lambda platform, minute: mute_target(
        platform, *target, at(minute), end, "cleaning", kind
    )


def unmuted(by=ANN, kind="plain"):
    return lambda platform, minute: unmute_targets(platform, by, at(minute), kind)


def receivers_broken(is_broken):
    def act(platform, _):
        for channel in platform.channels.values():
            channel.broken = is_broken

    return act
