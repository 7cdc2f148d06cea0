"""Flood summaries and digests: one message instead of many notifications that a flood or an outage
holds back."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlencode

from alerting.definitions.alert_definition import SEVERITIES, SEVERITY_NAMES
from alerting.definitions.asset_documents import asset_titles
from alerting.definitions.wording.language import Language
from alerting.episodes.episode import Episode
from alerting.notifications.notification import Notification, new_message
from alerting.ports import Conflict, DeliveryPorts
from alerting.reporting.sentences import sentence
from alerting.usecases.notification.muting import withhold
from alerting.usecases.notification.routes import ROUTES, language_of

_LISTED = 20
_MOST = 1000
"""Members of one message at most: they are marked as grouped in the unit of work that stores it."""
Member = tuple[Episode, Notification]
Titles = Mapping[str, str]
"""Of assets, by name."""


def waits_for_others(notification: Notification) -> bool:
    """Return whether a notification is delivered only together with others."""
    return notification.postponed_by in ("flood", "digest")


def summarise(platform: DeliveryPorts, now: datetime) -> int:
    """Store one message per flood (asset, channel and slot) that is over, and one digest per
    channel. Return how many.

    A digest contains all that waits for one, as soon as the first has waited long enough. The
    message and the state of its members are written together.
    """
    waiting = [n for n in platform.notifications.waiting() if waits_for_others(n)]
    episodes = platform.episodes.get_many({n.episode for n in waiting if n.episode})
    titles = asset_titles(platform.assets.all()) if waiting else {}
    groups: dict[tuple[object, ...], list[Member]] = defaultdict(list)
    for n in withhold(platform, waiting, episodes, now)[0]:
        slot = (n.asset, n.next_attempt_at) if n.postponed_by == "flood" else ()
        groups[n.postponed_by, n.channel, *slot].append((episodes[n.episode or ""], n))
    due = [
        members
        for members in groups.values()
        if any(n.next_attempt_at and n.next_attempt_at <= now for _, n in members)
    ]
    return sum(_write(platform, members[:_MOST], titles, now) for members in due)


def _write(
    platform: DeliveryPorts, members: Sequence[Member], titles: Titles, now: datetime
) -> bool:
    """Store the message of these members. Return False if another process has changed one of them
    meanwhile."""
    first = members[0][1]
    route = next((route for route in ROUTES.read(platform)[0] if route.name == first.route), None)
    reads = language_of(route, platform.language)
    subject, text = (
        _flood_summary(members, titles, reads)
        if first.postponed_by == "flood"
        else _digest(members, titles, reads)
    )
    is_flood = first.postponed_by == "flood"
    page = f"/?{urlencode({'asset': first.asset or ''})}" if is_flood else "/"
    payload = {"asset": first.asset, "page": page} if is_flood else {"page": page}
    message = new_message(
        f"{first.postponed_by}:{first.key}",
        first.channel,
        subject,
        text,
        now,
        first.route,
        **payload,
        episodes=[episode.id for episode, _ in members],
        notifications=[n.key for _, n in members],
    )
    grouped = [
        (n, replace(n, status="grouped", delivered_at=now, next_attempt_at=None))
        for _, n in members
    ]
    try:
        with platform.unit_of_work.begin() as unit:
            platform.notifications.add([message], unit)
            platform.notifications.change(grouped, unit)
    except Conflict:
        return False
    return True


def _flood_summary(
    members: Sequence[Member], titles: Titles, language: Language
) -> tuple[str, str]:
    asset = titles.get(members[0][0].asset, members[0][0].asset)
    subject = language.say("+{number} more on {asset}", number=len(members), asset=asset)
    lines = []
    for episode in _listed(members):
        values = _values(episode, titles, language)
        start = episode.raised_at.isoformat()
        if episode.closed_at:
            end = episode.closed_at.isoformat()
            lines.append(
                language.say(
                    "{severity}: {title}, {start} to {end}: {reason}",
                    start=start,
                    end=end,
                    **values,
                )
            )
        else:
            lines.append(
                language.say("{severity}: {title}, since {since}: {reason}", since=start, **values)
            )
    return subject, _listing(subject, lines, len(members), language)


def _digest(members: Sequence[Member], titles: Titles, language: Language) -> tuple[str, str]:
    subject = language.say(
        "{number} alerts raised and over before a notification was sent", number=len(members)
    )
    if len(members) == 1:
        subject = language.say(
            "Raised and over: {severity}: {title} on {asset}",
            **_values(members[0][0], titles, language),
        )
    lines = []
    for episode in _listed(members):
        values = _values(episode, titles, language)
        start = episode.raised_at.isoformat()
        if episode.closed_at:
            end = episode.closed_at.isoformat()
            lines.append(
                language.say(
                    "{severity}: {title} on {asset}, {start} to {end}: {reason}",
                    start=start,
                    end=end,
                    **values,
                )
            )
        else:
            lines.append(
                language.say(
                    "{severity}: {title} on {asset}, {start} and open again: {reason}",
                    start=start,
                    **values,
                )
            )
    head = language.say("{name}:", name=subject)
    return subject, _listing(head, lines, len(members), language)


def _values(episode: Episode, titles: Titles, language: Language) -> dict[str, str]:
    return {
        "severity": language.translate(SEVERITY_NAMES[episode.severity]).upper(),
        "title": episode.title,
        "asset": titles.get(episode.asset, episode.asset),
        "reason": sentence(language.translate(episode.evaluation.reason)),
    }


def _listed(members: Sequence[Member]) -> list[Episode]:
    """Return the episodes to list, by raise: of too many those that are open, and the worst."""
    found = sorted((episode for episode, _ in members), key=lambda e: (e.raised_at, e.id))
    found.sort(key=lambda e: (e.condition != "open", -SEVERITIES.index(e.severity)))
    return sorted(found[:_LISTED], key=lambda e: (e.raised_at, e.id))


def _listing(head: str, lines: Sequence[str], count: int, language: Language) -> str:
    left = count - len(lines)
    more = [language.say_count("and {number} other", "and {number} others", left)] if left else []
    return "\n".join([head, *lines, *more])
