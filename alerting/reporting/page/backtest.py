"""The additions of a backtest to a report: its trainings, and the load on operators."""

from dataclasses import dataclass
from datetime import datetime

from alerting.learning.metrics.metrics import EventMetrics
from alerting.reporting.base.load import Load


@dataclass(frozen=True)
class SegmentMetrics:
    """An interval (start, end] of one champion: the training at its start, and its results.

    `verdict`, `reason`: of the training's decision; "not_trained" where history did not suffice, ""
    without training. `approved`: a person would have had to approve it. `episodes`: found by its
    evaluation, which begins by the latency before it. `version`, `family`, `model_hash`,
    `training_cutoff`: of the model in service during the segment, None without one. `cut_short`:
    families whose search hit its time budget, so that another machine may find another model.
    """

    number: int
    start: datetime
    end: datetime
    verdict: str = ""
    reason: str = ""
    promoted: bool = False
    approved: bool = False
    version: int | None = None
    family: str | None = None
    model_hash: str | None = None
    training_cutoff: datetime | None = None
    cut_short: tuple[str, ...] = ()
    episodes: int = 0
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cost:
    """The cost of missed problems and false alarms; `per_week` of the calendar."""

    misses: float
    false_alarms: float
    total: float
    per_week: float


@dataclass(frozen=True)
class BacktestMetrics:
    """The head of a backtest's page. `subject`: the tested alert; `trained`: how often.

    `events`: result of `learning.metrics.event_metrics`, which also evaluates candidates; None
    without a problem in the data. `beside_acted`: episodes within the outcome window of a live
    episode on which operators acted: if no problem followed there, their action may be the cause.
    `cost`: None where the definition names no costs. `bursts`: a sentence on problems that come in
    bursts, with their number as written and as proposed; empty elsewhere.
    """

    run: str
    subject: str
    trained: str
    segments: tuple[SegmentMetrics, ...]
    load: Load | None
    events: EventMetrics | None
    cost: Cost | None
    beside_acted: int
    bursts: str = ""
