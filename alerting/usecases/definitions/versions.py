"""Definitions and their revisions by name, and their versions in force over time: the revision and
the champion by which each past instant is evaluated.

Stride and windows derived from the data are as stored at the first training of a question.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

from alerting.definitions.alert_definition import ModelDefinition, Revision, TrainedDefinition
from alerting.definitions.faults import NotFound, UserError, shown, unknown_definition
from alerting.definitions.revisions import in_force, question_hash, question_of
from alerting.definitions.wording.language import translatable
from alerting.kinds.protocol import VersionInterval
from alerting.learning.features.planning import DerivedFeatures
from alerting.ports import (
    WORSE_FORECASTS,
    DecisionRecord,
    Definitions,
    DerivedFeatureStore,
    Document,
)


def require_document(definitions: Definitions, name: str) -> Document:
    """Return the stored document of a definition, also a faulty one. Raises UserError with the
    names that may be meant."""
    marked = next(
        (
            document
            for document in definitions.documents()
            if name in (document.get("name"), document.get("_label"))
        ),
        None,
    )
    if marked is None:
        raise UserError(unknown_definition(name, [r.name for r in definitions.latest_revisions()]))
    return {key: value for key, value in marked.items() if not key.startswith("_")}


def newest_of_target(definitions: Definitions, name: str) -> Revision | None:
    """Return the newest valid revision for work on one target, such as an episode or a mute, by an
    account that need not see all assets of the definition; None without one."""
    return next(reversed(definitions.revisions(name)), None)


def require_revision(definitions: Definitions, name: str, number: int | None = None) -> Revision:
    """Return the newest (or the given) revision. Raises UserError if there is none; its message
    names the existing ones, or the faults of this one."""
    newest = definitions.newest_revision(name)
    if newest is None and (faults := definitions.faulty().get(name)):
        raise NotFound(
            translatable(
                "the definition {name} has faults and no valid revision yet: {faults}",
                name=shown(name),
                faults="; ".join(faults),
            )
        )
    if newest is None:
        raise NotFound(unknown_definition(name, [r.name for r in definitions.latest_revisions()]))
    if number in (None, newest.number):
        return newest
    revision = find_revision(definitions, name, number)
    if revision is None:
        raise NotFound(f"definition {name!r} has no revision {number}; it has 1 to {newest.number}")
    return revision


def find_revision(definitions: Definitions, name: str, number: int | None) -> Revision | None:
    """Return the revision of a number; None without one, or if its document is faulty."""
    return next((r for r in definitions.revisions(name) if r.number == number), None)


def active(definitions: Definitions) -> list[Revision]:
    """Return the newest revisions of the definitions in service, sorted by name."""
    return [r for r in definitions.latest_revisions() if r.definition.state == "active"]


class AnsweringVersion(NamedTuple):
    """The revision that evaluates, and the registry version of its champion; None where there is
    none.

    `awaited`: number of the newer revision in force whose question has no champion yet.
    """

    revision: Revision | None
    version: int | None
    awaited: int | None = None

    @property
    def message(self) -> str | None:
        """Say that this older revision answers for a newer one; None if it is the newest itself."""
        return describe_answer(self.revision, self.awaited)


def describe_answer(answering: Revision | None, awaited: int | None) -> str | None:
    """Say that an older revision answers while a newer one has no champion yet; None if it is the
    newest."""
    if answering is None or awaited is None:
        return None
    return translatable(
        "answers revision {number}; revision {awaited} is being trained",
        number=str(answering.number),
        awaited=str(awaited),
    )


def answer_at(
    revisions: Sequence[Revision], decisions: Sequence[DecisionRecord], at: datetime
) -> AnsweringVersion:
    """Return the version that answers for an instant: a champion answers only its own question.

    While the question of the revision in force has no champion, the last earlier revision with a
    champion goes on, if all revisions since then were in service. Both sequences belong to one
    definition, oldest first.
    """
    current = in_force(revisions, at)
    if current is None or not decisions:
        return AnsweringVersion(current, None)
    version = champion_at(decisions, at, question_of(current))
    if version is not None or not _is_trained(current):
        return AnsweringVersion(current, version)
    for earlier in reversed([r for r in revisions if r.number < current.number]):
        if not _is_trained(earlier):
            break
        if (version := champion_at(decisions, at, question_of(earlier))) is not None:
            return AnsweringVersion(earlier, version, current.number)
    return AnsweringVersion(current, None)


def _is_trained(revision: Revision) -> bool:
    return (
        isinstance(revision.definition, ModelDefinition) and revision.definition.state == "active"
    )


def present_answer(
    revisions: Sequence[Revision], decisions: Sequence[DecisionRecord]
) -> AnsweringVersion:
    """Return the answer after all revisions and decisions."""
    return answer_at(revisions, decisions, datetime.max.replace(tzinfo=UTC))


def segments(
    revisions: Sequence[Revision],
    decisions: Sequence[DecisionRecord],
    start: datetime,
    end: datetime,
) -> list[VersionInterval]:
    """Split (start, end] wherever the revision, the champion or its serving model changed. Both are
    sorted, oldest first."""
    changes = {r.at for r in revisions} | {d.at for d in decisions if d.promoted}
    cuts = [start, *sorted(c for c in changes if start < c < end), end]
    intervals = []
    before = answer_at(revisions, decisions, start - datetime.resolution).revision
    for a, b in pairwise(cuts):
        revision, version, awaited = answer_at(revisions, decisions, a)
        is_new = before is not None and revision is not None and before.number != revision.number
        intervals.append(
            VersionInterval(
                a, b, revision, version, serves_twin(decisions, version, a), is_new, awaited
            )
        )
        before = revision
    return intervals


def serves_twin(decisions: Sequence[DecisionRecord], version: int | None, at: datetime) -> bool:
    """Return whether, at an instant, the twin of a version serves because its refit was
    withdrawn."""
    return any(
        d.verdict == "gave_way" and d.challenger_version == version and d.at <= at
        for d in decisions
    )


def champion_at(
    decisions: Sequence[DecisionRecord], at: datetime, question: str | None
) -> int | None:
    """Return the registry version of the champion of a question at an instant, None without one.
    Oldest decision first."""
    return next(
        (d.challenger_version for d in reversed(promotions(decisions, question)) if d.at <= at),
        None,
    )


def last_promotion(
    decisions: Sequence[DecisionRecord], question: str | None
) -> DecisionRecord | None:
    """Return the promotion that made the present champion of a question, None without one. Oldest
    decision first."""
    return next(reversed(promotions(decisions, question)), None)


def promotions(decisions: Sequence[DecisionRecord], question: str | None) -> list[DecisionRecord]:
    """Return the promotions of a question (None: of any), including promotions without a stored
    question."""
    return [
        d for d in decisions if d.promoted and (question is None or d.question in (None, question))
    ]


def describe_worse_forecasts(decisions: Sequence[DecisionRecord], version: int | None) -> str:
    """Say that the values that a version predicts were worse than the last known value on its test
    period; empty otherwise. `decisions`: include the decisions that put it into service."""
    promoted = [d for d in decisions if d.promoted and d.challenger_version == version]
    if not any(WORSE_FORECASTS in d.evidence for d in promoted):
        return ""
    return translatable(
        "On its test period the values that it predicts were worse than the last known value "
        "alone: give it variables that move with the value, and train again."
    )


def line_of_champions(decisions: Sequence[DecisionRecord], question: str | None) -> list[int]:
    """Return the successive champions of a question up to the present one. A rollback returns to
    the position of its version."""
    line: list[int] = []
    for decision in promotions(decisions, question):
        version = decision.challenger_version
        if version is None or decision.verdict == "gave_way":
            continue
        line = (
            line[: line.index(version) + 1]
            if decision.verdict == "rollback" and version in line
            else [*line, version]
        )
    return line


def first_instant(revisions: Sequence[Revision]) -> datetime | None:
    """Return when the definition was first put in service, None if never."""
    return next((r.at for r in revisions if r.definition.state == "active"), None)


def live_from(
    revisions: Sequence[Revision], decisions: Sequence[DecisionRecord]
) -> datetime | None:
    """Return when live evaluation began: with the activation, for a model not before its first
    promotion; None if it has not begun.

    Both sequences belong to one definition, oldest first, and `revisions` is not empty.
    """
    began = first_instant(revisions)
    if began is None or not isinstance(revisions[-1].definition, ModelDefinition):
        return began
    promoted = next((d.at for d in decisions if d.promoted), None)
    return None if promoted is None else max(began, promoted)


def newest_title(definitions: Definitions, name: str) -> str:
    """Return the title of a definition by its newest valid revision; its name if there is none."""
    revision = definitions.newest_revision(name)
    return name if revision is None else revision.definition.title or name


def stored_features(
    derived_features: DerivedFeatureStore, definition: TrainedDefinition
) -> DerivedFeatures | None:
    """Return the stride and windows derived at the first training of the question; None before it,
    and where none need to be derived."""
    if definition.features.stride and definition.features.windows:
        return None
    return derived_features.get(definition.name, question_hash(definition))


def with_stored_features(
    derived_features: DerivedFeatureStore, definition: TrainedDefinition
) -> TrainedDefinition:
    """Return the definition with the derived stride and windows where it states none."""
    stored = stored_features(derived_features, definition)
    return definition if stored is None else stored.fill(definition)
