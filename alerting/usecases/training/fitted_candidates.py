"""The candidates that the families of a training have given."""

from collections.abc import Collection, Mapping, Sequence

from alerting.definitions.faults import TrainingRefused, UserError
from alerting.definitions.fields.learning import PERSISTENCE
from alerting.definitions.wording.language import translatable
from alerting.ports import TrainingRuns
from alerting.usecases.training.run_files import CANDIDATE

FAILED = "failed"  # tag of the run of a candidate: why every trial failed


def require_comparable(
    definition: str, families: Collection[str], failed: Mapping[str, str]
) -> None:
    """Raise TrainingRefused if no family is left beside those that failed, or not the last known
    value."""
    if failed and (PERSISTENCE in failed or not set(families) - failed.keys()):
        raise TrainingRefused(
            definition,
            translatable(
                "no model can be compared: {reasons}",
                reasons="; ".join(f"{family}: {fault}" for family, fault in failed.items()),
            ),
        )


def load_candidates(
    runs: TrainingRuns, run_id: str, families: Sequence[str]
) -> tuple[dict[str, dict[str, bytes]], dict[str, str]]:
    """Return the files of the newest fitted candidate of every family, and the reason of each
    family whose every trial failed.

    Raises UserError if one is missing, and TrainingRefused if no family is left to compare, or not
    the last known value.
    """
    searches = [search for search in runs.searches(run_id) if "family" in search.tags]
    fitted = {s.tags["family"]: s.id for s in searches if s.tags.get("fitted") == "true"}
    failed = {
        s.tags["family"]: s.tags[FAILED]
        for s in searches
        if FAILED in s.tags and s.tags["family"] not in fitted
    }
    require_comparable(runs.tags(run_id)["definition"], fitted, failed)
    missing = [f for f in families if f not in fitted and f not in failed]
    if missing:
        raise UserError(
            translatable(
                "not fitted yet: {names}; run these candidates of the training again",
                names=", ".join(missing),
            )
        )
    return {family: runs.files(run, CANDIDATE) for family, run in fitted.items()}, failed
