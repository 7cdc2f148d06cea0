"""Definitions as documents: the effects of a change before it is applied, and how it is applied."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from alerting.definitions.faults import DefinitionRefused, UserError
from alerting.definitions.model import Definition, Revision
from alerting.definitions.revisions import definition_document, plan_change
from alerting.definitions.wording.language import template
from alerting.kinds.registry import definition_types
from alerting.kinds.validation import parse_definition
from alerting.ports import BacktestPorts, Definitions, Document, DocumentRevision
from alerting.usecases.alarm_load.budget_gate import LoadForecast, apply_within_budget, forecasts
from alerting.usecases.definitions.checking import check, check_each
from alerting.usecases.definitions.lookup import require_revision
from alerting.usecases.definitions.next_steps import clock_times, next_steps
from alerting.usecases.definitions.spacing import warnings_of
from alerting.usecases.definitions.sync import require_expected, retire
from alerting.usecases.documents import (
    DocumentKind,
    DocumentReview,
    Expected,
    StateChange,
    StoredDocument,
)
from alerting.usecases.evaluation.evaluate import close_orphans


@dataclass(frozen=True)
class DefinitionEffects:
    """The effect of a change of a definition. `load`: the alarms that it will probably add;
    `next`: when it is evaluated or trained; None if nothing changes. `clock_times`: its hours and
    schedule, with their time zones."""

    warnings: tuple[str, ...] = ()
    load: LoadForecast | None = None
    next: str | None = None
    clock_times: tuple[str, ...] = ()

    @property
    def breaks_budget(self) -> bool:
        """Return whether it would cause more alarms than the budget of a position allows."""
        return self.load is not None and self.load.breaks


class DefinitionDocuments:
    """Port `DocumentStore` for reading definitions, whose revisions are written by `sync`."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions

    def documents(self) -> list[Document]:
        return [_without_marks(document) for document in self._definitions.documents()]

    def find(self, name: str) -> Document | None:
        return next(map(_without_marks, self._definitions.documents([name])), None)

    def store_document(self, document: Document) -> None:
        self._definitions.store_document(document)

    def remove(self, name: str) -> bool:
        """Remove nothing: a definition is retired."""
        del name
        return False

    def add_revision(self, revision: DocumentRevision) -> bool:
        """Store nothing: `sync` numbers the revisions of definitions."""
        del revision
        return False

    def revisions(self, name: str) -> list[DocumentRevision]:
        return [_as_document(revision) for revision in self._definitions.revisions(name)]


@dataclass(frozen=True, kw_only=True, eq=False)
class DefinitionKind(DocumentKind[BacktestPorts, Definition]):
    """The life of definitions, within the alarm budget. `wall`: returns the real time, by which
    trainings are scheduled."""

    wall: Callable[[], datetime]

    def review(
        self, ports: BacktestPorts, document: Mapping[str, Any], *, on_host: bool = False
    ) -> DocumentReview[Definition]:
        """Return the effect of a document with all its faults. Writes nothing."""
        del on_host  # no definition names a path of the host
        (checked,) = check_each(ports, [dict(document)])
        if checked.faults or checked.definition is None:
            return DocumentReview(checked.name, "new", checked.faults)
        return self._review_valid(ports, [checked.definition])[0]

    def plan(
        self,
        ports: BacktestPorts,
        documents: Sequence[Mapping[str, Any]],
        *,
        on_host: bool = True,
    ) -> list[DocumentReview[Definition]]:
        """Return the changes that `apply` would make. Raises UserError with all faults."""
        if len(documents) == 1:
            return super().plan(ports, documents, on_host=on_host)
        return self._review_valid(ports, check(ports, [dict(one) for one in documents]))

    def apply(
        self,
        ports: BacktestPorts,
        documents: Sequence[Mapping[str, Any]],
        actor: str,
        at: datetime,
        reason: str = "",
        *,
        expected: Expected | None = None,
        on_host: bool = True,
        accepted: str = "",
    ) -> list[DocumentReview[Definition]]:
        """Apply documents, all of them or none. Raises ChangedSince for another newest revision,
        DefinitionRefused with all faults, UserError if one breaks the alarm budget and no reason to
        accept that is given."""
        given = [dict(one) for one in documents]
        if expected is not None:
            for one in given:
                require_expected(ports, str(one.get("name")), expected, at)
        reviews = self.plan(ports, given, on_host=on_host)
        effects = [one.effects for one in reviews]
        load = [one.load for one in effects if isinstance(one, DefinitionEffects) and one.load]
        apply_within_budget(ports, given, load, actor, at, reason, accepted, expected)
        return reviews

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
        UserError if it is in that state already, NotFound, ChangedSince."""
        if expected is not None:
            require_expected(ports, name, expected, at)
        if act == "retire":
            retired = retire(ports, name, actor, at, reason or "retired")
            close_orphans(ports, at)
            return retired.definition
        newest = require_revision(ports.definitions, name)
        state = self.acts[act].state
        if newest.definition.state == state:
            raise UserError(
                f"definition {name!r} is {state} already, since revision {newest.number}"
            )
        document = {**definition_document(newest.definition), "state": state}
        why = reason or "activated"
        self.apply(ports, [document], actor, at, why, expected=expected, accepted=accepted)
        return require_revision(ports.definitions, name).definition

    def show(self, ports: BacktestPorts, name: str, at: datetime) -> StoredDocument[Definition]:
        """Return a definition, valid or not, with its revisions. Raises NotFound."""
        del at  # an edit in the database gets its revision from `sync`
        revisions = ports.definitions.revisions(name)
        document = DefinitionDocuments(ports.definitions).find(name)
        if document is None:
            document = definition_document(require_revision(ports.definitions, name).definition)
        return StoredDocument(
            name,
            document,
            revisions[-1].definition if revisions else None,
            tuple(ports.definitions.faulty().get(name, ())),
            tuple(map(_as_document, revisions)),
        )

    def find_revision(self, ports: BacktestPorts, name: str, number: int) -> DocumentRevision:
        """Return a revision. Raises NotFound."""
        return _as_document(require_revision(ports.definitions, name, number))

    def _review_valid(
        self, ports: BacktestPorts, definitions: Sequence[Definition]
    ) -> list[DocumentReview[Definition]]:
        plans = [plan_change(d, ports.definitions.newest_revision(d.name)) for d in definitions]
        load = {one.definition: one for one in forecasts(ports, plans, ports.clock.now())}
        wall = self.wall()
        steps = (
            next_steps(
                ports.assets, ports.definitions, ports.decisions, ports.trainings, [plan], wall
            )
            for plan in plans
        )
        return [
            DocumentReview(
                plan.name,
                plan.action,
                (),
                plan.changes,
                plan.definition,
                DefinitionEffects(
                    tuple(warnings_of(ports, plan.definition)),
                    load.get(plan.name),
                    next(iter(following), None),
                    tuple(clock_times(plan.definition)),
                ),
            )
            for plan, following in zip(plans, steps, strict=True)
        ]


def _as_document(revision: Revision) -> DocumentRevision:
    document = definition_document(revision.definition)
    return DocumentRevision(
        revision.name, revision.number, revision.at, revision.author, document, revision.reason
    )


def _without_marks(document: Document) -> Document:
    return {key: value for key, value in document.items() if not key.startswith("_")}


DEFINITIONS = DefinitionKind(
    word="definition",
    store=lambda platform: DefinitionDocuments(platform.definitions),
    model=lambda document: definition_types().get(str(document.get("kind"))),
    parse=parse_definition,
    write=definition_document,
    refused=DefinitionRefused,
    applied=template("definition applied"),
    acts={
        "activate": StateChange("active", template("definition applied")),
        "retire": StateChange("retired", template("definition applied")),
    },
    columns=("name", "kind", "assets", "state"),
    wall=partial(datetime.now, UTC),
)


def document_with_point(platform: BacktestPorts, name: str, at_most: float) -> Document:
    """Return the document of a definition with this limit of false alarms a week and asset, instead
    of any other way to choose its threshold."""
    document = definition_document(require_revision(platform.definitions, name).definition)
    before = document.get("operating_point") or {}
    limits = {key: before[key] for key in ("max_time_in_alarm",) if key in before}
    return {**document, "operating_point": {"false_alarms_per_week": at_most, **limits}}
