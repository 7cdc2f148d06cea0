"""The problem that an alert warns of."""

from datetime import timedelta
from typing import Literal

from pydantic import Field, StrictBool

from alerting.definitions.assets import Closed, Line, Tag, VariableName
from alerting.definitions.durations import Duration


class Problem(Closed):
    """The problem to prevent: a condition on a variable that holds for a time, or an event type."""

    variable: VariableName | None = Field(
        None, description="Variable whose value is the problem; give above, below or equals with it."
    )
    above: float | None = Field(None, description="The problem is a value above this limit.")
    below: float | None = Field(None, description="The problem is a value below this limit.")
    equals: StrictBool | float | Line | None = Field(
        None, description="The problem is exactly this value: a number, true or false, or the text of a category."
    )
    hold: Duration = Field(timedelta(0), alias="for", description="Time for which the condition must hold to count.")
    event: Tag | None = Field(None, description="Event type that is the problem, e.g. failure; * stands for any text: failure-*.")
    predict: Literal["onset", "state"] | None = Field(
        None,
        description="onset: will it start within the horizon? state: will it hold at some sample in it? "
        "Left out: state for a variable with a delay (laboratory values) and with horizon: 0s, onset otherwise.",
    )
    recovery: Duration | None = Field(
        None,
        description="Time after the end of a problem that does not count (onset): no score, no alarm, no row of learning. "
        "Left out: one horizon after an instant event, nothing after other problems.",
    )
