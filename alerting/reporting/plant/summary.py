"""Summary of one definition's report, stored with it, as the plant's report ranks it."""

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from alerting.reporting.definition.conclusion import Judgement
from alerting.reporting.definition.metrics import ReportMetrics
from alerting.reporting.definition.money import Money
from alerting.reporting.definition.retune import Retune


@dataclass(frozen=True)
class DefinitionNumbers:
    """Numbers of one definition over the period.

    `weeks`: evaluated asset-weeks. `problems`: those that could be announced. `announced`: how many
    of them were. `false_alarms_a_week`: of all its assets together; None if nothing was evaluated,
    or nothing is known. `answered`: of the `notified` episodes. `worse_than_promotion`: the
    metric that is clearly worse than at the promotion of the model, else empty. `has_problem`: the
    definition states a problem that data can confirm.
    """

    name: str
    title: str
    kind: str
    trained: bool
    assets: int
    weeks: float
    trust: str
    sentence: str
    episodes: int
    hits: int
    avoided: int
    false_alarms: int
    undetermined: int
    problems: int
    announced: int
    false_alarms_a_week: float | None
    lead_time_s: float | None
    answered: int
    notified: int
    money: Money | None = None
    retune: Retune | None = None
    worse_than_promotion: str = ""
    has_problem: bool = True


_ADAPTER = TypeAdapter(DefinitionNumbers)


def summarise(metrics: ReportMetrics, judgement: Judgement) -> DefinitionNumbers:
    """Return the summary of a definition's metrics."""
    m = metrics
    return DefinitionNumbers(
        name=m.definition,
        title=m.title,
        kind=m.kind,
        trained=m.trained,
        assets=len(m.evaluated),
        weeks=m.evaluated_s / (7 * 86_400),
        trust=judgement.trust,
        sentence=judgement.sentence,
        episodes=len(m.episodes),
        hits=m.outcomes["hit"],
        avoided=m.outcomes["avoided"],
        false_alarms=m.outcomes["false_alarm"],
        undetermined=m.outcomes["undetermined"],
        problems=len(m.problems),
        announced=len(m.problems) - len(m.missed),
        false_alarms_a_week=None
        if m.false_alarms.value is None
        else m.false_alarms.value * len(m.evaluated),
        lead_time_s=m.lead_time.value,
        answered=m.verdicts.answered,
        notified=m.verdicts.notified,
        money=m.money,
        retune=m.retune,
        worse_than_promotion=m.model.worse_than_promotion if m.model else "",
        has_problem=m.horizon_s is not None,
    )


def summary_to_document(summary: DefinitionNumbers) -> dict[str, Any]:
    """Return the summary as JSON-able values."""
    document: dict[str, Any] = _ADAPTER.dump_python(summary, mode="json")
    return document


def summary_from_document(document: Any) -> DefinitionNumbers:
    """Return the summary of a stored report. Raises pydantic.ValidationError if it is damaged."""
    return _ADAPTER.validate_python(document)
