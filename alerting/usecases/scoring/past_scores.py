"""Scores of the past by one model, as live evaluation gives them, and scores of a file's readings,
as if they had been imported. Nothing is stored."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol, cast

from alerting.definitions.alert_definition import ModelDefinition, Revision, matching_assets
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import in_english, latency_note
from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.protocol import ScoredRows, VersionInterval
from alerting.ports import (
    Clock,
    Decisions,
    EvaluationPorts,
    KindPorts,
    Progress,
    ReadingBatch,
    ReadingRow,
    Readings,
    silent,
)
from alerting.usecases.definitions.versions import require_revision, serves_twin
from alerting.usecases.evaluation.rounds import check_unseen, named_version
from alerting.usecases.evaluation.target import evaluate_parts
from alerting.usecases.ingestion.imported_files import ReadingSource
from alerting.usecases.ingestion.tables import Checked, check_readings, refuse_line
from alerting.usecases.model_registry import ModelCache
from alerting.usecases.scoring.predict import SentReadings, scoring_kind

_LEAST_STEP = timedelta(days=1)


@dataclass(frozen=True)
class ScoringPlan:
    """Assets and interval (start, end] to score; `step`: length of one step, which bounds the
    memory.

    `stride`: the longest time between two scores of an asset. `not_learned`: assets of which the
    version has learned nothing; they have no score. `variables`: variables that its features read.
    """

    revision: Revision
    version: int
    by_twin: bool
    assets: Sequence[Asset]
    start: datetime
    end: datetime
    step: timedelta
    stride: timedelta
    models: ModelCache
    not_learned: Sequence[str]
    variables: frozenset[str]


def plan_scoring(
    platform: EvaluationPorts,
    name: str,
    start: datetime | None,
    end: datetime | None,
    model: str | None,
    newest: bool = False,
) -> ScoringPlan:
    """Return what to score. `model`: a version number, by default the champion.

    `start`: by default the training cutoff of the model; instants up to it are unknown. `end`: by
    default the last reading of all assets, at most now less the latency. `newest`: only the last
    stride. Raises UserError for a definition without a model, a model that cannot be read, and an
    empty interval.
    """
    revision, version = require_scores(platform, name, model)
    now = platform.clock.now()
    models = ModelCache(platform)
    assets = matching_assets(revision.definition, platform.assets.all())
    latency = max(
        (revision.definition.latency(asset, platform.latency) for asset in assets),
        default=platform.latency,
    )
    until = min(
        end or (now if newest else _last_reading(platform.readings, assets, now)), now - latency
    )
    check_unseen(models, revision.definition, version, until)
    whole = plan_assets(platform.clock, platform.decisions, revision, version, assets, models)
    begin = (
        until - whole.stride
        if newest
        else start or models.get(revision.definition, version).training_cutoff
    )
    if begin >= until:
        raise UserError(
            in_english(
                "--from {begin} must lie before --to {until}{latency}",
                begin=begin,
                until=until,
                latency=latency_note(latency),
            )
        )
    return replace(whole, start=begin, end=until)


def champion(platform: EvaluationPorts, revision: Revision, model: str | None = None) -> int:
    """Return the version that a person names, or the champion. Raises UserError without a
    champion."""
    version = named_version(platform, revision, model)
    if version is None:
        raise UserError(
            f"{revision.name!r} is a {revision.definition.kind} definition, which has no model"
        )
    return version


def plan_assets(
    clock: Clock,
    decisions: Decisions,
    revision: Revision,
    version: int,
    assets: Sequence[Asset],
    models: ModelCache,
) -> ScoringPlan:
    """Return a plan for the assets from which a version learned. Raises UserError if there is
    none."""
    definition = cast("ModelDefinition", revision.definition)  # a scoring kind has a model
    kind = scoring_kind(definition)
    trained = models.get(definition, version)
    plans = {asset.name: kind.plan_of(trained, asset.name) for asset in assets}
    learned = {name: plan for name, plan in plans.items() if plan is not None}
    if assets and not learned:
        raise UserError(
            f"version {version} of {revision.name!r} has learned nothing of {', '.join(plans)}: "
            "train it again"
        )
    now = clock.now()
    return ScoringPlan(
        revision,
        version,
        serves_twin(decisions.for_definition(revision.name), version, now),
        [asset for asset in assets if asset.name in learned],
        now,
        now,
        max([_LEAST_STEP, *(plan.lookback for plan in learned.values())]),
        timedelta(milliseconds=max((plan.stride_ms for plan in learned.values()), default=1)),
        models,
        sorted(plans.keys() - learned.keys()),
        frozenset(variable for plan in learned.values() for variable in plan.variables).union(
            definition.groups_by
        ),
    )


def _last_reading(readings: Readings, assets: Sequence[Asset], now: datetime) -> datetime:
    spans = (readings.span(asset.name, now) for asset in assets)
    return max((span[1] for span in spans if span is not None), default=now)


def score_past(
    platform: KindPorts, plan: ScoringPlan, progress: Progress = silent
) -> Iterator[tuple[str, ScoredRows]]:
    """Yield asset and scores step by step, as `evaluate_past`. Raises UserError if the model
    fails."""
    for number, asset in enumerate(plan.assets):

        def passed(done: int, total: int, name: str = asset.name, number: int = number) -> None:
            progress(f"scoring {name}", number * total + done, len(plan.assets) * total)

        yield from (
            (asset.name, scored)
            for scored in score_asset(platform, plan, asset, plan.start, plan.end, passed)
        )


def score_asset(
    platform: KindPorts,
    plan: ScoringPlan,
    asset: Asset,
    start: datetime,
    end: datetime,
    passed: Callable[[int, int], None],
) -> Iterator[ScoredRows]:
    """Yield an asset's scores. `passed`: reports the steps done, of all. Raises UserError if the
    model fails."""
    state = ConditionState(watermark=start)
    steps = -(-(end - start) // plan.step)
    for step in range(steps):
        passed(step, steps)
        until = min(state.watermark + plan.step, end)
        part = VersionInterval(state.watermark, until, plan.revision, plan.version, plan.by_twin)
        evaluated = evaluate_parts(platform, plan.models, asset, state, [part], named=True)
        if evaluated.unreadable:
            raise UserError(evaluated.unreadable)
        state = evaluated.state
        yield from (scored for scored in evaluated.scores if len(scored.at))


_NAMES_SHOWN = 10
_ANY = datetime.max.replace(tzinfo=UTC)


class ReadingStore(Readings, Protocol):
    """Readings that are written first, in any order, and then read by time."""

    def write(self, batches: Iterable[ReadingBatch]) -> int:
        """Write all batches; return the number of rows."""


@dataclass(frozen=True)
class FileScores:
    """A checked file and its plan. `notes`: sentences on missing scores."""

    platform: EvaluationPorts
    source: ReadingSource
    checked: Checked[ReadingRow]
    plan: ScoringPlan
    store: ReadingStore
    notes: Sequence[str]

    def scores(self, progress: Progress = silent) -> Iterator[tuple[str, ScoredRows]]:
        """Yield asset and scores, step by step. Raises UserError if the model fails."""
        reject = self.checked.reject or refuse_line
        self.store.write(self.source.read(self.checked.types, reject, progress))
        platform = replace(
            self.platform,
            readings=SentReadings(self.store, self.checked.profile.assets, self.platform.readings),
        )
        for number, asset in enumerate(self.plan.assets):
            span = self.store.span(asset.name)
            if span is None:
                continue

            def passed(done: int, total: int, name: str = asset.name, number: int = number) -> None:
                progress(f"scoring {name}", number * total + done, len(self.plan.assets) * total)

            scored = score_asset(
                platform, self.plan, asset, span[0] - timedelta(milliseconds=1), span[1], passed
            )
            yield from ((asset.name, rows) for rows in scored)


def plan_file(
    platform: EvaluationPorts,
    name: str,
    source: ReadingSource,
    store: ReadingStore,
    progress: Progress = silent,
) -> FileScores:
    """Check a whole file as an import does, and plan its scores by the champion. Declares nothing.

    Raises the same UserError as `check_readings`, and UserError for a definition without scores or
    champion, and if it applies to no asset of the file.
    """
    revision, version = require_scores(platform, name)
    models = ModelCache(platform)
    check_unseen(models, revision.definition, version, _ANY)  # that it can be read, before the file
    checked = check_readings(source, platform, progress=progress)
    check_unseen(models, revision.definition, version, checked.profile.last or platform.clock.now())
    declared = {asset.name: asset for asset in (*platform.assets.all(), *checked.assets)}
    assets = [declared[asset] for asset in sorted(checked.profile.assets)]
    matching = matching_assets(revision.definition, assets)
    if not matching:
        patterns = ", ".join(revision.definition.assets)
        names = ", ".join(asset.name for asset in assets[:_NAMES_SHOWN])
        raise UserError(
            f"{source.name}: {name!r} applies to {patterns}, and the file has readings of {names}"
        )
    plan = plan_assets(platform.clock, platform.decisions, revision, version, matching, models)
    return FileScores(
        platform, source, checked, plan, store, _list_notes(name, assets, plan, checked)
    )


def require_scores(
    platform: EvaluationPorts, name: str, model: str | None = None
) -> tuple[Revision, int]:
    """Return the newest revision, and the version that a person names, or its champion. Raises
    UserError if the definition gives no scores."""
    revision = require_revision(platform.definitions, name)
    scoring_kind(revision.definition)
    return revision, champion(platform, revision, model)


def _list_notes(
    name: str, assets: Sequence[Asset], plan: ScoringPlan, checked: Checked[ReadingRow]
) -> list[str]:
    scored = {asset.name for asset in plan.assets}
    others = [
        asset.name
        for asset in assets
        if asset.name not in scored and asset.name not in plan.not_learned
    ]
    needed = {  # for a computed variable its parts
        variable
        for asset in plan.assets
        for variable in asset.with_parts(plan.variables)
        if not asset.is_computed(variable)
    }
    lacking = sorted(
        needed - {variable for asset in scored for variable in checked.profile.assets[asset]}
    )
    notes = []
    if others:
        notes.append(f"{name} does not apply to {_list_names(others)}: no scores")
    if plan.not_learned:
        notes.append(f"the model has learned nothing of {_list_names(plan.not_learned)}: no scores")
    if lacking:
        notes.append(
            f"the model also reads {_list_names(lacking)}, which the file lacks: "
            "missing in every row"
        )
    return notes


def _list_names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more
