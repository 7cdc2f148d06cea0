"""The kinds of documents that share one life, by the word for one of them; and the life of
definitions within the alarm budget: the effects of a change before it is applied, and how it is
applied."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from alerting.definitions.alert_definition import Definition
from alerting.definitions.faults import UserError, read_each
from alerting.definitions.revisions import definition_document
from alerting.definitions.wording.language import template
from alerting.ports import BacktestPorts, Document, UpkeepPorts
from alerting.usecases.alarm_load.budget_gate import LoadForecast, forecasts, require_within_budget
from alerting.usecases.definitions.faults_and_platform_alerts import warnings_of
from alerting.usecases.definitions.next_steps import clock_times, next_steps
from alerting.usecases.definitions.revisions_and_evaluation_plan import (
    DEFINITION_DOCUMENTS,
    DefinitionKind,
)
from alerting.usecases.definitions.versions import require_revision
from alerting.usecases.document_life import ANY_REVISION, DocumentKind, DocumentReview, Expected
from alerting.usecases.evaluation.rounds import close_orphans
from alerting.usecases.ingestion.asset_import import ASSETS
from alerting.usecases.notification.routing import ROUTES
from alerting.usecases.sink_delivery import SINKS
from alerting.usecases.sources.status import SOURCES


@dataclass(frozen=True)
class DefinitionEffects:
    """The effect of a change of a definition. `load`: the alarms that it will probably add; `next`:
    when it is evaluated or trained, None if nothing changes. `clock_times`: its hours and schedule,
    with their time zones."""

    warnings: tuple[str, ...] = ()
    load: LoadForecast | None = None
    next: str | None = None
    clock_times: tuple[str, ...] = ()

    @property
    def breaks_budget(self) -> bool:
        """Return whether it would cause more alarms than the budget of a position allows."""
        return self.load is not None and self.load.breaks


@dataclass(frozen=True, kw_only=True, eq=False)
class BudgetedDefinitions(DefinitionKind[BacktestPorts]):
    """The life of definitions, within the alarm budget. `wall`: returns the real time, by which
    trainings are scheduled."""

    wall: Callable[[], datetime]

    def review_all(
        self, ports: BacktestPorts, documents: Sequence[Mapping[str, Any]], *, on_host: bool
    ) -> list[DocumentReview[Definition]]:
        """Return the effect of each document as it would be beside the others. Writes nothing."""
        reviews = super().review_all(ports, documents, on_host=on_host)
        load = {
            forecast.definition: forecast
            for forecast in forecasts(ports, reviews, ports.clock.now())
        }
        return [
            replace(
                forecast,
                effects=self._effects(ports, forecast, forecast.read, load.get(forecast.name)),
            )
            if forecast.read
            else forecast
            for forecast in reviews
        ]

    def apply_plan(
        self,
        ports: BacktestPorts,
        reviews: Sequence[DocumentReview[Definition]],
        actor: str,
        at: datetime,
        reason: str = "",
        *,
        read: Mapping[str, int] = ANY_REVISION,
        accepted: str = "",
    ) -> None:
        """Store the changes of a plan, and end the open episodes of assets that definitions no
        longer name. Raises ChangedMeanwhile, and UserError if a definition breaks the alarm budget
        without a reason to accept that."""
        broken = self.require_accepted(ports, reviews, accepted)
        super().apply_plan(ports, reviews, actor, at, reason, read=read)
        for forecast in broken:
            ports.audit.add(
                actor,
                template("alarm load accepted"),
                forecast.definition,
                at,
                after=list(forecast.messages),
                why=accepted.strip() or "the gate only warns (ALERTING_ALARM_GATE=warn)",
            )
        close_orphans(ports, at)

    def require_accepted(
        self,
        ports: BacktestPorts,
        reviews: Sequence[DocumentReview[Definition]],
        accepted: str,
    ) -> list[LoadForecast]:
        """Return the loads of a plan that break the alarm budget. Raises UserError for them without
        a reason to accept that."""
        broken = [
            review.effects.load
            for review in reviews
            if isinstance(review.effects, DefinitionEffects)
            and review.effects.load
            and review.effects.load.breaks
        ]
        require_within_budget(ports.budget, broken, accepted)
        return broken

    def change_state(
        self,
        ports: BacktestPorts,
        name: str,
        act: str,
        actor: str,
        at: datetime,
        reason: str = "",
        *,
        expected: Expected | None = None,
        accepted: str = "",
    ) -> Definition:
        """Put a definition into service, or take it out and close its open episodes. Raises
        UserError if it is in that state already, NotFound, ChangedMeanwhile."""
        self._require(ports, name)
        if expected is not None:
            self.require_revision(ports, name, expected, at)
        newest = require_revision(ports.definitions, name)
        state = self.acts[act].state
        if newest.definition.state == state:
            raise UserError(
                f"definition {name!r} is already {state}, since revision {newest.number}"
            )
        if act == "retire":
            why = reason or "retired"
            retired = super().change_state(ports, name, act, actor, at, why, expected=expected)
            close_orphans(ports, at)
            return retired
        document = {**definition_document(newest.definition), "state": state}
        why = reason or "activated"
        self.apply(ports, [document], actor, at, why, expected=expected, accepted=accepted)
        return require_revision(ports.definitions, name).definition

    def _effects(
        self,
        ports: BacktestPorts,
        review: DocumentReview[Definition],
        definition: Definition,
        load: LoadForecast | None,
    ) -> DefinitionEffects:
        changed = [] if review.action == "unchanged" else [definition]
        steps = next_steps(
            ports.assets, ports.definitions, ports.decisions, ports.trainings, changed, self.wall()
        )
        return DefinitionEffects(
            tuple(warnings_of(ports, definition)),
            load,
            next(iter(steps), None),
            tuple(clock_times(definition)),
        )


DEFINITIONS = BudgetedDefinitions(**vars(DEFINITION_DOCUMENTS), wall=partial(datetime.now, UTC))


def document_with_point(platform: BacktestPorts, name: str, alarm_at: float) -> Document:
    """Return the document of a definition with this threshold, fixed until it is removed."""
    document = definition_document(require_revision(platform.definitions, name).definition)
    before = document.get("operating_point") or {}
    return {**document, "operating_point": {**before, "alarm_at": alarm_at}}


KINDS: dict[str, DocumentKind[UpkeepPorts, Any]] = {
    "asset": ASSETS,
    "sink": SINKS,
    "route": ROUTES,
    "definition": DEFINITIONS,
    "source": SOURCES,
}
"""The kinds by their words, in the order in which documents need each other: what comes in last, so
that it is evaluated and sent."""


P = TypeVar("P", bound=UpkeepPorts)
GivenDocuments = Mapping[str, Sequence[tuple[Mapping[str, Any], str]]]
"""Documents of a person on the host by the word for their kind, each with its file, which is empty
for a stored one."""


def plan_together(
    ports: UpkeepPorts,
    documents: GivenDocuments,
    kinds: Mapping[str, DocumentKind[Any, Any]] = KINDS,
) -> dict[str, list[DocumentReview[Any]]]:
    """Return the changes of documents by their kind in the order of `kinds`, each as it would be
    beside all others. Writes nothing. Raises UserError with the faults of all."""
    plan: dict[str, list[DocumentReview[Any]]] = {}
    refusals: list[UserError] = []
    for word, kind in kinds.items():
        if word not in documents:
            continue
        try:
            plan[word] = kind.plan(ports, *zip(*documents[word], strict=True))
        except UserError as refusal:
            refusals.append(refusal)
        if word == "asset":
            ports = with_given_assets(ports, documents)
    if refusals:
        raise UserError("\n".join(map(str, refusals))) if refusals[1:] else refusals[0]
    return plan


def with_given_assets(ports: P, documents: GivenDocuments) -> P:
    """Return ports with the assets as they would be with the given ones, beside which other
    documents are checked; the same ports without any."""
    planned = read_each((asset for asset, _ in documents.get("asset", ())), ASSETS.parse)[0]
    if not planned:
        return ports
    assets = ports.in_memory().assets
    assets.store_assets([*ports.assets.all(), *planned])
    assets.put_event_types(ports.assets.event_types())
    return replace(ports, assets=assets)


def apply_together(
    ports: UpkeepPorts,
    plan: Mapping[str, Sequence[DocumentReview[Any]]],
    actor: str,
    at: datetime,
    reason: str,
    accepted: str = "",
) -> None:
    """Store the changes of a plan, kind after kind. Idempotent. Raises ChangedMeanwhile, and
    UserError, before anything is stored, if definitions break the alarm budget without a reason to
    accept that."""
    DEFINITIONS.require_accepted(ports, plan.get("definition", ()), accepted)
    for word, reviews in plan.items():
        KINDS[word].apply_plan(ports, reviews, actor, at, reason, accepted=accepted)
