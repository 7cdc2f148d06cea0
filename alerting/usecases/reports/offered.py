"""Proposals of changes from the figures of a month, and how people answer them: each is applied as
any change is, or refused with a reason."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from alerting.definitions.faults import Conflicting, UserError
from alerting.definitions.model import Revision
from alerting.definitions.revisions import definition_document
from alerting.definitions.wording.language import template, translatable
from alerting.ports import AuditEntry, AuditFilter, OfferPorts, PlantSummaries
from alerting.reporting.definition.retune import Retune
from alerting.reporting.plant.offers import Action, Offer, OfferBasis, has_changed, offers
from alerting.reporting.plant.summary import summary_from_document
from alerting.usecases.alarm_load.changes import apply_change, document_with_point
from alerting.usecases.definitions import lookup, sync
from alerting.usecases.definitions.platform_alerts import WAITING
from alerting.usecases.evaluation.orphans import close_orphans
from alerting.usecases.reports.running import known_summaries, shown_period
from alerting.usecases.training.runs import request_training

OFFER_APPLIED = template("proposal applied")
OFFER_REFUSED = template("proposal refused")
"""The entries of the audit by which people answer a proposal on a definition."""
_BACK = timedelta(days=14)  # before this day of a month, proposals rest on the month before
_MOST_ANSWERS = 500
_BASIS = TypeAdapter(OfferBasis)


@dataclass(frozen=True)
class OpenOffer:
    """A proposal that waits for an answer, made from this revision of its definition."""

    offer: Offer
    revision: int


@dataclass(frozen=True)
class Offered:
    """Proposals, the one worth most first, on figures from `start` on as known at `as_of`; None
    while there are no figures."""

    items: tuple[OpenOffer, ...]
    start: datetime | None = None
    as_of: datetime | None = None


def open_offers(
    platform: OfferPorts, now: datetime, names: Collection[str] | None = None
) -> Offered:
    """Return the proposals that wait for an answer; `names`: only on these definitions.

    They rest on the figures of this month, in its first fourteen days of the month before. One is
    not offered if its definition was changed, or it was applied, after that month began; nor if it
    was refused, unless its figures have changed beyond their bounds since.
    """
    month = shown_period("month", (), platform.zone, now - _BACK)
    known = known_summaries(platform, [month]).get(month.name)
    if known is None:
        return Offered(())
    latest = {
        r.name: r
        for r in platform.definitions.latest_revisions()
        if r.definition.state == "active" and (names is None or r.name in names)
    }
    waiting = {a.subject for a in platform.platform_alerts.open() if a.kind == WAITING}
    found = offers(
        [summary_from_document(one) for name, one in known.summaries.items() if name in latest],
        waiting,
    )
    refused = _newest_entries(platform, OFFER_REFUSED)
    applied = _newest_entries(platform, OFFER_APPLIED)
    return Offered(
        tuple(
            OpenOffer(one, latest[one.definition].number)
            for one in found
            if _is_open(one, latest[one.definition], known, refused, applied)
        ),
        known.start,
        known.as_of,
    )


def apply_offer(
    platform: OfferPorts,
    name: str,
    action: Action,
    expected: int,
    author: str,
    wall: datetime,
    reason: str,
) -> None:
    """Apply a proposal as it is offered now. `expected`: the revision from which it was made;
    `wall`: the real time, by which trainings are scheduled.

    Raises Conflicting if it is not offered any more, ChangedSince for another revision, UserError
    for one that needs a person's own change, or that breaks the alarm budget.
    """
    now = platform.clock.now()
    offer = _require(platform, name, action, now)
    if not offer.can_be_applied or offer.action == "approve":
        raise UserError(
            translatable("a person must look at this proposal first: open what it concerns")
        )
    sync.require_expected(platform, name, expected, now)
    why = reason or str(offer.reason)
    if offer.action == "retire":
        sync.retire(platform, name, author, now, why)
        close_orphans(platform, now)
    elif offer.action == "retrain":
        request_training(platform, name, author, why)
    elif offer.retune is not None:
        _apply_limit(platform, offer, offer.retune, expected, author, now, wall, why)
    platform.audit.add(author, OFFER_APPLIED, name, now, None, _recorded(offer), why)
    if offer.retune is not None and offer.retune.field == "threshold":
        request_training(platform, name, author, why)


def refuse_offer(platform: OfferPorts, name: str, action: Action, author: str, reason: str) -> None:
    """Refuse a proposal with a reason, so that it is not offered again on such figures. Raises
    Conflicting if it is not offered any more, UserError without a reason."""
    if not reason.strip():
        raise UserError(translatable("say why the proposal is refused"))
    now = platform.clock.now()
    offer = _require(platform, name, action, now)
    platform.audit.add(author, OFFER_REFUSED, name, now, None, _recorded(offer), reason.strip())


def _apply_limit(
    platform: OfferPorts,
    offer: Offer,
    retune: Retune,
    expected: int,
    author: str,
    now: datetime,
    wall: datetime,
    why: str,
) -> None:
    """Apply another limit of a condition; of a model the number of false alarms that goes with it,
    by which its next training chooses the threshold."""
    name = offer.definition
    if retune.field == "threshold":
        # none at all cannot be asked for: half an alarm stands for it
        left = max(retune.false_alarms_then, 0.5) / max(offer.basis.weeks, 1.0)
        document = document_with_point(platform, name, float(f"{left:.2g}"))
    else:
        newest = lookup.require_revision(platform.definitions, name)
        document = {
            **definition_document(newest.definition),
            retune.field: float(f"{retune.value:.4g}"),
        }
    apply_change(platform, document, expected, author, now, wall, why)


def _require(platform: OfferPorts, name: str, action: Action, now: datetime) -> Offer:
    lookup.require_revision(platform.definitions, name)
    for one in open_offers(platform, now, {name}).items:
        if one.offer.action == action:
            return one.offer
    raise Conflicting(
        translatable(
            "this proposal on {name} is not offered any more: open the page again", name=name
        )
    )


def _newest_entries(platform: OfferPorts, what: str) -> dict[str, AuditEntry]:
    """Return the newest such entry of each definition."""
    found = platform.audit.find(AuditFilter(what=what), _MOST_ANSWERS)
    return {entry.subject: entry for entry in reversed(found)}


def _is_open(
    offer: Offer,
    revision: Revision,
    month: PlantSummaries,
    refused: Mapping[str, AuditEntry],
    applied: Mapping[str, AuditEntry],
) -> bool:
    if revision.number > 1 and revision.at > month.start:
        return False
    done = applied.get(offer.definition)
    if done is not None and done.at > month.start:
        return False
    entry = refused.get(offer.definition)
    return entry is None or _is_new(offer, entry.after)


def _is_new(offer: Offer, recorded: Any) -> bool:
    if not isinstance(recorded, Mapping) or recorded.get("action") != offer.action:
        return True
    try:
        basis = _BASIS.validate_python(recorded.get("basis"))
    except ValidationError:
        return True
    return has_changed(basis, offer.basis)


def _recorded(offer: Offer) -> dict[str, Any]:
    """Return what the audit stores of a proposal."""
    change = {} if offer.retune is None else {offer.retune.field: offer.retune.value}
    return {"action": offer.action, "basis": asdict(offer.basis), **change}
