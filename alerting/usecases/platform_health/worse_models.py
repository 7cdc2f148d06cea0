"""Compare models in service with what came, and raise an alert for a worse one."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from alerting.definitions.assets import Asset
from alerting.definitions.faults import first_line
from alerting.definitions.model import Revision, TrainedDefinition, matching_assets
from alerting.definitions.revisions import question_of
from alerting.kinds.protocol.evaluation import ModelVerification, Served
from alerting.kinds.registry import verifying_kind_of
from alerting.ports import ModelUnavailable, ReportPorts, UpkeepPorts
from alerting.ports.logs import id_logger
from alerting.usecases.definitions.derived import with_stored_features
from alerting.usecases.definitions.lookup import active
from alerting.usecases.definitions.platform_alerts import MISCALIBRATED, record_faults
from alerting.usecases.definitions.versions import segments
from alerting.usecases.episodes.suppression import suppressed_intervals_by_asset
from alerting.usecases.registry.registration import ModelCache

if TYPE_CHECKING:
    from alerting.readings.history import History

MEASURED_FOR = timedelta(days=28)

_log = id_logger(__name__)


def verify_models(platform: UpkeepPorts, as_of: datetime) -> dict[str, str]:
    """Measure each model in service over 28 days; return a sentence on each. Idempotent.

    A model that cannot be measured, for example with too few values so far, keeps its alert.
    """
    models = ModelCache(platform)
    found = dict[str, str]()
    faults = dict[str, str]()
    revisions = active(platform.definitions)
    for revision in revisions:
        try:
            verification = verify_model(platform, models, revision, as_of - MEASURED_FOR, as_of)
        except ModelUnavailable as unavailable:  # has a platform alert of its own
            _log.warning("not measured: %s", unavailable, definition=revision.name)
            continue
        except Exception as fault:  # of one model: the others are measured
            _log.warning("not measured: %s", first_line(fault), definition=revision.name)
            continue
        if verification is not None:
            found[revision.name] = verification.sentence
            faults |= {} if verification.fault is None else {revision.name: verification.fault}
    names = {revision.name for revision in revisions}
    record_faults(
        platform.platform_alerts,
        MISCALIBRATED,
        faults,
        as_of,
        lambda name: name in found or name not in names,
    )
    return found


def verify_model(
    platform: ReportPorts | UpkeepPorts,
    models: ModelCache,
    revision: Revision,
    start: datetime,
    as_of: datetime,
) -> ModelVerification | None:
    """Measure one definition's models; None if unknown.

    Raises ModelUnavailable if a model cannot be read.
    """
    definition = revision.definition
    kind = verifying_kind_of(revision.definition)
    if kind is None or not isinstance(definition, TrainedDefinition):
        return None
    definition = with_stored_features(platform.derived_features, definition)
    served = _served(platform, models, revision, start, as_of)
    if not served:
        return None
    assets = matching_assets(definition, platform.assets.all())
    return kind.verify(
        definition,
        served,
        _histories(platform, definition, served, assets, as_of),
        as_of,
        suppressed_intervals_by_asset(platform, definition, assets, start, as_of),
    )


def _served(
    platform: ReportPorts | UpkeepPorts,
    models: ModelCache,
    revision: Revision,
    start: datetime,
    as_of: datetime,
) -> list[Served]:
    """Return the models that served, each as it did, for the question of a revision."""
    question = question_of(revision)
    found = list[Served]()
    for part in segments(
        platform.definitions.revisions(revision.name),
        platform.decisions.for_definition(revision.name),
        start,
        as_of,
    ):
        if (
            part.revision is None
            or part.model_version is None
            or question_of(part.revision) != question
        ):
            continue
        model = models.get(part.revision.definition, part.model_version)
        found.append(
            Served(part.start, part.end, replace(model, refit=None) if part.by_twin else model)
        )
    return found


def _histories(
    platform: ReportPorts | UpkeepPorts,
    definition: TrainedDefinition,
    served: Sequence[Served],
    assets: Sequence[Asset],
    as_of: datetime,
) -> "Iterator[History]":
    """Yield what the models and the problem read of each asset, one asset at a time."""
    reach = max(part.model.plan.reach_ms for part in served)
    begin = served[0].start - timedelta(milliseconds=reach) - definition.gap - definition.horizon
    variables = {name for part in served for name in part.model.plan.variables}
    for asset in assets:
        names = sorted((variables | definition.variables_read(asset)) & asset.variables.keys())
        yield platform.readings.load(asset, begin, as_of, names)
