"""A line with three shifts, at the end of a night in which alarms came."""

from dataclasses import replace
from datetime import timedelta

from alerting.definitions.asset_documents import Asset, Variable
from alerting.episodes.episode import ActorStamp, Feedback, OutcomeRecord
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.notification.routing import ROUTES
from alerting.usecases.operators import operate
from tests.builders import at, too_hot
from tests.helpers.console.api import episode
from tests.helpers.mutes import mute_target
from tests.in_memory_platform import Mailbox, in_memory_platform

SIX = at(9 * 1440 + 370)
"""Ten minutes after the change from night to early, on 14 January."""
BEFORE_SIX = SIX - timedelta(minutes=30)
HOURS = {"early": ("06:00", "14:00"), "late": ("14:00", "22:00"), "night": ("22:00", "06:00")}


def night(minute):
    """Return the minute of the platform that lies so many minutes after 22:00."""
    return 8 * 1440 + 22 * 60 + minute


def plant_with_shifts():
    """Return a platform with a line of two ovens twenty minutes before the night ends."""
    made = in_memory_platform(Mailbox("mail"))
    known = {"temperature": Variable(title="Temperature", unit="°C")}
    made.assets.store_assets(
        [
            Asset(name="line-1", title="Line 1"),
            *(Asset(name=f"oven-{n}", parent="line-1", variables=known) for n in (1, 2)),
        ]
    )
    apply(made, [too_hot(title="Too hot", assets=["oven-*"])], "ann", at(1), "test")
    routes = [
        {"name": name, "channels": ["mail"], "shifts": [{"from": start, "to": end}]}
        for name, (start, end) in HOURS.items()
    ]
    ROUTES.apply(made, routes, "ann", at(1))
    done = episode(night(200), "oven-1", title="Too hot")
    feedback = Feedback(done.id, None, True, "belt slowed", None, "nina", at(night(204)))
    avoided = OutcomeRecord("avoided", "no problem came", False, None, False, True, 1)
    made.episodes.insert(replace(done, feedback=(feedback,), outcome_record=avoided))
    made.feedback.append(feedback)
    open_now = episode(night(430), "oven-2", "open", title="Too hot")
    taken = {"assigned_to": "nina", "acknowledged": ActorStamp("nina", at(night(431)))}
    made.episodes.insert(replace(open_now, **taken))
    made.episodes.insert(episode(night(-100), "oven-2", title="Too hot"))
    made.clock.instant = at(night(300))
    until = at(night(700))
    actor = operate.Actor("nina", "operator")
    mute_target(made, "too-hot", "oven-1", actor, at(night(300)), until, "sensor is cleaned")
    made.clock.instant = BEFORE_SIX
    return made
