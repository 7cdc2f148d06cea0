"""Feedback by a link in a message, and reported misses.

A link is a sealed grant, for one answer of one recipient to one episode, for a short time. Misses
("you should have told me") are stored for ever, and enter reports and the labels of trainings.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from alerting.definitions.alert_definition import Definition, matching_assets
from alerting.definitions.faults import NotFound, UserError, close_names
from alerting.definitions.wording.language import Styled, joined, template, translatable
from alerting.episodes.episode import Episode, Feedback, RecommendationTaken
from alerting.episodes.lifecycle import ReportedMiss
from alerting.notifications.notification import Grant, LinkRefused, Purpose
from alerting.operators.actions_and_mutes import permit
from alerting.ports import Episodes, OperatorPorts, PlantPorts
from alerting.usecases.episodes.stored_episodes import find_episode
from alerting.usecases.operators.operate import Actor, acknowledge, give_feedback

ANSWERS: tuple[Purpose, ...] = ("true_alarm", "false_alarm", "acted")
LABELS: Mapping[Purpose, str] = {
    "true_alarm": translatable("It was right"),
    "false_alarm": translatable("It was wrong"),
    "acted": translatable("I acted on it"),
    "acknowledge": translatable("I have seen it"),
}


def open_link(platform: OperatorPorts, token: str) -> tuple[Grant, Episode]:
    """Return the grant and the episode of a link, without a change. Raises LinkRefused for an
    invalid link."""
    if platform.links is None:
        raise LinkRefused(translatable("feedback links are switched off"))
    grant = platform.links.read(token)
    return grant, find_episode(platform.episodes, grant.episode)


def has_answered(grant: Grant, episode: Episode) -> bool:
    """Return whether the recipient has given this answer already: an action, or the verdict that
    was the last one."""
    if grant.purpose == "acknowledge":
        return episode.acknowledged is not None and episode.acknowledged.actor == _name(grant)
    answers = _answers_of(grant, episode)
    if grant.purpose == "acted":
        return any(f.acted for f in answers)
    verdicts = [f.verdict for f in answers if f.verdict is not None]
    return bool(verdicts) and verdicts[-1] == grant.purpose


def use_link(
    platform: OperatorPorts, token: str, at: datetime, taken: RecommendationTaken | None = None
) -> Episode:
    """Give the one answer of the link, or acknowledge. Idempotent.

    `taken`: whether the recommendation was followed, in an answer that the recipient has acted.
    Raises LinkRefused for an invalid link, and UserError for an alert that can no longer be
    acknowledged.
    """
    grant, episode = open_link(platform, token)
    if has_answered(grant, episode):
        return episode
    if grant.purpose == "acknowledge":
        return acknowledge(platform, episode.id, Actor(_name(grant), "operator"), at)
    # Earlier answers are part of the key of a new one; concurrent uses of a link see the same
    # earlier answers and share a key.
    once = (
        f"{grant.episode} {grant.recipient} {grant.purpose} after "
        f"{len(_answers_of(grant, episode))}"
    )
    verdict = None if grant.purpose == "acted" else grant.purpose
    followed = taken if verdict is None else None
    feedback = Feedback(
        episode.id, verdict, verdict is None, None, None, _name(grant), at, None, followed
    )
    return give_feedback(platform, feedback, once)


def _answers_of(grant: Grant, episode: Episode) -> list[Feedback]:
    return [f for f in episode.feedback if f.actor == _name(grant)]


def _name(grant: Grant) -> str:
    return f"{grant.recipient} (by link)"


_LONGEST_COMMENT = 10_000


class NoMiss(UserError):
    """Refusal of a miss because an alert was raised for that time."""

    def __init__(self, message: str, raised: Episode) -> None:
        super().__init__(message)
        self.raised = raised


def report_miss(
    platform: OperatorPorts,
    name: str,
    asset: str,
    missed_at: datetime,
    comment: str,
    actor: Actor,
    at: datetime,
) -> ReportedMiss:
    """Store that a definition should have raised an alert for a problem at `missed_at`; return the
    stored miss. Idempotent.

    Raises NotFound for an unknown definition, UserError for an asset that it does not watch and for
    a time in the future, and NoMiss for a time for which the definition did raise an alert.
    """
    permit("confirm", actor.role)
    latest = {
        revision.name: revision.definition for revision in platform.definitions.latest_revisions()
    }
    if name not in latest:
        near = close_names(name, latest)
        unknown = translatable("there is no definition “{name}”", name=name)
        raise NotFound(
            joined(
                "; ", unknown, translatable("near: {names}", names=", ".join(near)) if near else ""
            )
        )
    definition = latest[name]
    faults = list(_find_faults(platform, definition, asset, missed_at, comment, at))
    if faults:
        raise UserError(joined("; ", *faults))
    if (warned := _find_covering(platform.episodes, definition, asset, missed_at)) is not None:
        raise NoMiss(
            translatable(
                "{definition} did raise an alert on {asset} for that time: episode {id} of "
                "{start}; answer that one",
                definition=name,
                asset=asset,
                id=warned.id[:8],
                start=warned.raised_at,
            ),
            warned,
        )
    stored = platform.misses.append(
        ReportedMiss(name, asset, missed_at, comment.strip(), actor.name, at)
    )
    platform.audit.add(
        stored.actor,
        template("miss reported"),
        f"{name} on {asset}",
        stored.at,
        after=missed_at.isoformat(),
        why=stored.comment,
    )
    return stored


def _find_faults(
    platform: PlantPorts,
    definition: Definition,
    asset: str,
    missed_at: datetime,
    comment: str,
    at: datetime,
) -> Iterator[str]:
    names = [a.name for a in matching_assets(definition, platform.assets.all())]
    if asset not in names:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        yield translatable(
            "{definition} is not evaluated on “{asset}”; its assets: {assets}",
            definition=definition.name,
            asset=asset,
            assets=shown or "-",
        )
    if missed_at > at:
        yield translatable(
            "{time} lies in the future; give the time at which the problem happened",
            time=missed_at,
        )
    if len(comment) > _LONGEST_COMMENT:
        length = Styled(len(comment), ".0f")
        most = Styled(_LONGEST_COMMENT, ".0f")
        yield translatable(
            "the comment has {length} characters; {most} at most", length=length, most=most
        )


def _find_covering(
    episodes: Episodes, definition: Definition, asset: str, at: datetime
) -> Episode | None:
    """Return an episode with notifications that was open at an instant, or predicted it; None
    without one."""
    window = definition.window.until if definition.problem is not None else timedelta(0)
    for episode in reversed(
        episodes.find(definition.name, asset, end=at + datetime.resolution, limit=20)
    ):
        until = max(
            filter(None, [episode.closed_at, episode.valid_until, episode.raised_at + window])
        )
        is_told = not (
            episode.withdrawn
            or episode.backfilled
            or any(t.kind == "suppressed" for t in episode.transitions)
        )
        if is_told and (episode.condition == "open" or at <= until):
            return episode
    return None
