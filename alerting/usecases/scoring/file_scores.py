"""Scores of a file's readings, as if they had been imported. Nothing is stored."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from alerting.definitions.assets import Asset
from alerting.definitions.faults import UserError
from alerting.definitions.model import Revision, matching_assets
from alerting.kinds.protocol.evaluation import ScoredRows
from alerting.ports import EvaluationPorts, Progress, ReadingBatch, ReadingRow, Readings, silent
from alerting.usecases.definitions.lookup import require_revision
from alerting.usecases.evaluation.evaluate import check_unseen
from alerting.usecases.ingestion.sources import ReadingSource
from alerting.usecases.ingestion.tables import Checked, check_readings, refuse_line
from alerting.usecases.registry.registration import ModelCache
from alerting.usecases.scoring.past_scores import ScoringPlan, champion, plan_assets, score_asset
from alerting.usecases.scoring.predict import GivenReadings, scoring_kind

_SHOWN = 10
_ANY = datetime.max.replace(tzinfo=UTC)


class ReadingStore(Readings, Protocol):
    """Readings that are written first, in any order, and then read by time."""

    def write(self, batches: Iterable[ReadingBatch]) -> int:
        """Write all batches; return the number of rows."""


@dataclass(frozen=True)
class FileScores:
    """A checked file and its plan. `notes`: what the scores lack, as sentences."""

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
            readings=GivenReadings(self.store, self.checked.profile.assets, self.platform.readings),
        )
        for number, asset in enumerate(self.plan.assets):
            span = self.store.span(asset.name)
            if span is None:
                continue

            def passed(done: int, of: int, name: str = asset.name, number: int = number) -> None:
                progress(f"scoring {name}", number * of + done, len(self.plan.assets) * of)

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
    check_unseen(
        models, revision.definition, version, source.newest_instant() or _ANY
    )  # before it is read
    checked = check_readings(source, platform, progress=progress)
    check_unseen(models, revision.definition, version, checked.profile.last or platform.clock.now())
    declared = {asset.name: asset for asset in (*platform.assets.all(), *checked.assets)}
    found = [declared[asset] for asset in sorted(checked.profile.assets)]
    matching = matching_assets(revision.definition, found)
    if not matching:
        patterns = ", ".join(revision.definition.assets)
        names = ", ".join(asset.name for asset in found[:_SHOWN])
        raise UserError(
            f"{source.name}: {name!r} applies to {patterns}, and the file has readings of {names}"
        )
    plan = plan_assets(platform.clock, platform.decisions, revision, version, matching, models)
    return FileScores(platform, source, checked, plan, store, _notes(name, found, plan, checked))


def require_scores(platform: EvaluationPorts, name: str) -> tuple[Revision, int]:
    """Return the newest revision and its champion. Raises UserError without scores."""
    revision = require_revision(platform.definitions, name)
    scoring_kind(revision.definition)
    return revision, champion(platform, revision)


def _notes(
    name: str, found: Sequence[Asset], plan: ScoringPlan, checked: Checked[ReadingRow]
) -> list[str]:
    scored = {asset.name for asset in plan.assets}
    others = [
        asset.name
        for asset in found
        if asset.name not in scored and asset.name not in plan.not_learned
    ]
    lacking = sorted(
        {name for asset in plan.assets for name in _measured(asset, plan.variables)}
        - {variable for asset in scored for variable in checked.profile.assets[asset]}
    )
    notes = [f"{name} does not apply to {_listed(others)}: no scores"] if others else []
    notes += (
        [f"the model has learned nothing of {_listed(plan.not_learned)}: no scores"]
        if plan.not_learned
        else []
    )
    return notes + (
        [f"the model also reads {_listed(lacking)}, which the file lacks: missing in every row"]
        if lacking
        else []
    )


def _measured(asset: Asset, variables: Iterable[str]) -> list[str]:
    """Return what a file must have of these: for a computed variable its parts."""
    return [name for name in asset.with_parts(variables) if not asset.is_computed(name)]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
