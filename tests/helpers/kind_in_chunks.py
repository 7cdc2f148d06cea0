"""A kind with a model that is evaluated to one instant after the other, as live evaluation does."""

from types import SimpleNamespace

from alerting.definitions.revisions import next_revision
from alerting.episodes.evaluation_plan import ConditionTable
from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.protocol import EvaluationSources, TargetEvaluation, VersionInterval
from alerting.kinds.registry import trained_kind_of
from alerting.kinds.shared_inputs import SharedInputs
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at
from tests.in_memory_platform import in_memory_platform


def sources_of(asset, rows, model, suppressed=()):
    """Return the sources of evaluations on an asset with these readings and this model."""
    platform = in_memory_platform()
    platform.assets.store_assets([asset])
    add_readings(platform, rows, at(0))
    models = SimpleNamespace(get=lambda *_: model)
    return lambda: EvaluationSources(
        platform, models, asset, None, SharedInputs(platform.readings), lambda *_: list(suppressed)
    )


def evaluate_part(definition, sources, state, until, version=1):
    """Evaluate one part by version 1 of the model, or another."""
    revision = next_revision(definition, None, "a", at(0), "r")
    part = VersionInterval(state.watermark, at(until), revision, version)
    return trained_kind_of(definition).evaluate(definition, sources, part, TargetEvaluation(state))


def evaluated_to(definition, sources, cuts):
    """Return steps, scores (with all their bits), raises, the state and what is unknown; the state
    goes through its table."""
    state = ConditionState(watermark=at(0))
    steps = []
    scores = []
    raises = {}
    unknown = None
    for until in cuts:
        if at(until) <= state.watermark:
            continue
        found = evaluate_part(definition, sources(), state, until)
        assert found.unreadable is None
        table = ConditionTable([(definition.name, "a")])
        table.write_state(0, found.state)
        state = table.state(0)
        unknown = found.unknown
        steps += [step for step, _ in found.steps]
        for part in found.scores:
            scores += [
                (t, score.hex())
                for t, score in zip(part.at.tolist(), part.score.tolist(), strict=True)
            ]
        raises |= {t: raised.content for t, raised in found.raises.items()}
    return steps, scores, raises, state, unknown
