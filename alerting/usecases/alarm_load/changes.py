"""Changes of one definition: their effect before they are applied, and how they are applied."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from alerting.definitions.faults import DefinitionRefused, Fault, UserError
from alerting.definitions.model import Revision
from alerting.definitions.revisions import Plan, definition_document, plan_change
from alerting.ports import BacktestPorts, Document
from alerting.usecases.alarm_load.budget_gate import LoadForecast, apply_within_budget, forecasts
from alerting.usecases.definitions.checking import check_each
from alerting.usecases.definitions.lookup import require_revision
from alerting.usecases.definitions.next_steps import clock_times, next_steps
from alerting.usecases.definitions.spacing import warnings_of
from alerting.usecases.definitions.sync import Expected, require_expected


@dataclass(frozen=True)
class ChangeReview:
    """The effect that applying a document would have; a faulty one has faults and no plan.

    `next_step`: when it is evaluated or trained; None if nothing changes. `clock_times`: its hours
    and schedule, with their time zones.
    """

    name: str
    faults: tuple[Fault, ...]
    plan: Plan | None = None
    warnings: tuple[str, ...] = ()
    load: tuple[LoadForecast, ...] = ()
    next_step: str | None = None
    clock_times: tuple[str, ...] = ()

    @property
    def breaks_budget(self) -> bool:
        """Return whether it would cause more alarms than the budget of a position allows."""
        return any(forecast.breaks for forecast in self.load)


def review_change(
    platform: BacktestPorts, document: Document, now: datetime, wall: datetime
) -> ChangeReview:
    """Return the effect of a document with all its faults. Writes nothing. `wall`: the real time,
    by which trainings are scheduled."""
    (checked,) = check_each(platform, [document])
    if checked.faults or checked.definition is None:
        return ChangeReview(checked.name, checked.faults)
    definition = checked.definition
    plan = plan_change(definition, platform.definitions.newest_revision(definition.name))
    steps = next_steps(
        platform.assets,
        platform.definitions,
        platform.decisions,
        platform.trainings,
        [plan],
        wall,
    )
    return ChangeReview(
        definition.name,
        (),
        plan,
        tuple(warnings_of(platform, definition)),
        tuple(forecasts(platform, [plan], now)),
        next(iter(steps), None),
        tuple(clock_times(definition)),
    )


def apply_change(
    platform: BacktestPorts,
    document: Document,
    expected: Expected | None,
    author: str,
    now: datetime,
    wall: datetime,
    reason: str,
    accepted: str = "",
) -> ChangeReview:
    """Apply a document that was made from the expected revision; return what it changed.

    Raises ChangedSince for another newest revision, DefinitionRefused with all faults, UserError if
    it breaks the alarm budget and no reason to accept that is given.
    """
    if expected is not None:
        require_expected(platform, str(document.get("name")), expected, now)
    review = review_change(platform, document, now, wall)
    if review.faults:
        raise DefinitionRefused(review.name, review.faults)
    apply_within_budget(platform, [document], review.load, author, now, reason, accepted, expected)
    return review


def document_in_state(platform: BacktestPorts, name: str, state: str) -> Document:
    """Return the document of the newest revision in another state. Raises UserError if it is in
    that state already, NotFound for an unknown name."""
    newest = require_revision(platform.definitions, name)
    if newest.definition.state == state:
        raise UserError(f"definition {name!r} is {state} already, since revision {newest.number}")
    return {**definition_document(newest.definition), "state": state}


def document_with_point(platform: BacktestPorts, name: str, at_most: float) -> Document:
    """Return the document of a definition with this limit of false alarms a week and asset, instead
    of any other way to choose its threshold."""
    document = definition_document(require_revision(platform.definitions, name).definition)
    before = document.get("operating_point") or {}
    limits = {key: before[key] for key in ("max_time_in_alarm",) if key in before}
    return {**document, "operating_point": {"false_alarms_per_week": at_most, **limits}}


def changed_fields_between(one: Revision, other: Revision) -> Mapping[str, tuple[object, object]]:
    """Return the fields that differ between two revisions, each with both values."""
    return plan_change(other.definition, one).changes
