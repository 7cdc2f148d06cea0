"""Where the problem of a prediction is expected, and how long an alarm of a model lasts."""

from datetime import timedelta
from typing import NamedTuple

from pydantic import Field

from alerting.definitions.assets import Closed
from alerting.definitions.faults import Duration
from alerting.definitions.fields.names import Number

# version of the rule by which an alarm ends and announces; 1: it ended one horizon after its raise;
# 2: at raise + gap, too, a problem was announced
ALARM_RULE = 3


class PredictionWindow(NamedTuple):
    """Where a problem is predicted, relative to the instant of the prediction: (after, until]."""

    after: timedelta
    until: timedelta

    @property
    def length(self) -> timedelta:
        """Return its length."""
        return self.until - self.after


class AlarmFields(Closed):
    """When an alarm of a model ends whose problem does not come."""

    clear_at: Number | None = Field(
        None,
        gt=0,
        lt=1,
        exclude_if=lambda value: value is None,
        description="Risk below which an alarm clears (hysteresis), between 0 and 1; at most the "
        "threshold that raises it. Left out: 0.5 in log-odds below the threshold, e.g. 0.71 for "
        "0.8.",
    )
    clear_for: Duration | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="Off-delay: the risk must be low for this long before the alarm ends; two "
        "strides when left out.",
    )
    longest_time: Duration | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="Longest time of one alarm whose problem does not come; four horizons when "
        "left out.",
    )
