"""Decides which channels do not deliver."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.definitions.wording.language import Value, translatable_count
from alerting.notifications.notification import UNDELIVERED_FOR

_ABANDONED_AFTER = timedelta(days=1)  # after the last message to a channel without settings
_ANSWER_LENGTH = 300


@dataclass(frozen=True)
class Undelivered:
    """Messages whose last attempt failed. `since`: the first failed attempt of any; `last`: the
    newest one, with its `answer`."""

    number: int
    since: datetime
    last: datetime
    answer: str


@dataclass(frozen=True)
class ChannelFacts:
    """Deliveries of a channel with undelivered messages.

    `refused`: messages that are given up, since its last delivery or within `UNDELIVERED_FOR`;
    `waiting`: messages to be tried again. `delivered_at`: its last delivery; `delivered_before`:
    the last delivery until the newest refusal.
    """

    name: str
    refused: Undelivered | None = None
    waiting: Undelivered | None = None
    delivered_at: datetime | None = None
    delivered_before: datetime | None = None


def why_failing(
    facts: ChannelFacts, is_configured: bool, is_open: bool, now: datetime
) -> str | None:
    """Return why a channel fails, for an engineer; None if it does not, or has recovered.

    A channel that refuses and accepts by turns fails until it has refused nothing for
    `UNDELIVERED_FOR`. `is_open`: whether a fault of it is open, which a message that is sent again
    does not end before it is delivered.
    """
    refused = facts.refused
    if (
        refused
        and _is_after(refused.last, facts, now)
        and (is_configured or now - refused.last < _ABANDONED_AFTER)
    ):
        return translatable_count(
            "it refused {number} message since {since} ({answer}): correct the channel, test it "
            "({test}), then send the message again ({again})",
            "it refused {number} messages since {since} ({answer}): correct the channel, test it "
            "({test}), then send the messages again ({again})",
            refused.number,
            again="alerting retry notifications",
            **_values(facts, refused),
        )
    waiting = facts.waiting
    delivered = facts.delivered_at
    if waiting and (delivered is None or delivered <= waiting.last):
        silent_since = max(waiting.since, delivered or waiting.since)
        if is_open or now - silent_since >= UNDELIVERED_FOR:
            return translatable_count(
                "it delivered nothing since {since}, and {number} message waits ({answer}): "
                "correct the channel or its receiver, and test it ({test})",
                "it delivered nothing since {since}, and {number} messages wait ({answer}): "
                "correct the channel or its receiver, and test it ({test})",
                waiting.number,
                **_values(facts, waiting),
            )
    return None


def _is_after(refusal: datetime, facts: ChannelFacts, now: datetime) -> bool:
    """Return whether a channel has delivered nothing since a refusal, or refuses by turns."""
    before = facts.delivered_before
    by_turns = before is not None and refusal - before < UNDELIVERED_FOR
    return (
        facts.delivered_at is None
        or facts.delivered_at < refusal
        or (by_turns and now - refusal < UNDELIVERED_FOR)
    )


def _values(facts: ChannelFacts, undelivered: Undelivered) -> dict[str, Value]:
    answer = undelivered.answer
    return {
        "since": undelivered.since,
        "answer": answer if len(answer) <= _ANSWER_LENGTH else f"{answer[:_ANSWER_LENGTH]}…",
        "test": f"alerting try {facts.name}",
    }
