"""What a backtest's page says beyond a report: that nothing of it happened, what was trained when, and the load on people."""

from dataclasses import dataclass
from datetime import datetime

from alerting.learning.metrics.metrics import EventMetrics
from alerting.reporting.load import Load


@dataclass(frozen=True)
class SegmentFigure:
    """A stretch (start, end] judged by one champion: the training at its start, and what followed.

    `verdict`, `reason`: of the training's decision; "not_trained" where history did not suffice, "" where nothing is trained.
    `version`, `family`, `model_hash`, `training_cutoff`: of the model in service during the segment, None without one.
    `cut_short`: families whose search hit its time budget, so that another machine may find another model.
    """

    number: int
    start: datetime
    end: datetime
    verdict: str = ""
    reason: str = ""
    promoted: bool = False
    version: int | None = None
    family: str | None = None
    model_hash: str | None = None
    training_cutoff: datetime | None = None
    cut_short: tuple[str, ...] = ()
    episodes: int = 0
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cost:
    """What missed problems and false alarms would have cost, in the currency of the definition; `per_week` of the calendar."""

    misses: float
    false_alarms: float
    total: float
    per_week: float


@dataclass(frozen=True)
class BacktestFigures:
    """What stands at the head of a backtest's page. `subject`: what was tested; `trained`: how often, in words.

    `events`: judged by `learning.metrics.event_metrics`, the code that judges candidates; None without a problem in the data.
    `beside_acted`: episodes within the outcome window of a live episode that people acted upon: if nothing followed there,
    that may be because they acted. `cost`: None where the definition names no costs.
    """

    run: str
    subject: str
    trained: str
    segments: tuple[SegmentFigure, ...]
    load: Load | None
    events: EventMetrics | None
    cost: Cost | None
    beside_acted: int
