"""Reported misses: "you should have told me". They are stored for ever, and enter reports and the
labels of trainings."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from alerting.definitions.alert_definition import Definition, matching_assets
from alerting.definitions.faults import NotFound, UserError, close_names
from alerting.definitions.wording.language import Styled, joined, template, translatable
from alerting.episodes.episode import Episode
from alerting.episodes.lifecycle import ReportedMiss
from alerting.operators.actions_and_mutes import permit
from alerting.ports import Episodes, OperatorPorts, PlantPorts
from alerting.usecases.operators.operate import Actor

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
    a time in the future, and NoMiss for a time for which it did raise an alert.
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
    faults = list(_faults(platform, definition, asset, missed_at, comment, at))
    if faults:
        raise UserError(joined("; ", *faults))
    if (warned := _covering(platform.episodes, definition, asset, missed_at)) is not None:
        raise NoMiss(
            translatable(
                "{definition} did raise an alert on {asset} for that time: episode {id} of "
                "{start}; answer that one",
                definition=name,
                asset=asset,
                id=warned.id[:8],
                start=warned.raised_at.isoformat(),
            ),
            warned,
        )
    stored = platform.misses.append(
        ReportedMiss(name, asset, missed_at, comment.strip(), actor.name, at)
    )
    why = stored.comment
    platform.audit.add(
        stored.actor,
        template("miss reported"),
        f"{name} on {asset}",
        stored.at,
        after=missed_at.isoformat(),
        why=why,
    )
    return stored


def _faults(
    platform: PlantPorts,
    definition: Definition,
    asset: str,
    missed_at: datetime,
    comment: str,
    at: datetime,
) -> Iterator[str]:
    names = [one.name for one in matching_assets(definition, platform.assets.all())]
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
            time=missed_at.isoformat(),
        )
    if len(comment) > _LONGEST_COMMENT:
        length = Styled(len(comment), ".0f")
        most = Styled(_LONGEST_COMMENT, ".0f")
        yield translatable(
            "the comment has {length} characters; {most} at most", length=length, most=most
        )


def _covering(
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
