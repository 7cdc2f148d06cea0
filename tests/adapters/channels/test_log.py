import json
import math

import pytest

from alerting.adapters.channels.log import LogChannel
from alerting.ports import DeliveryFailed, Message

pytestmark = pytest.mark.fast

MESSAGE = Message(
    "e1:raised:log",
    "Oven 1 too hot",
    "218 °C is above 215 °C\nOpen the damper\n",
    {"value": 218.0, "share": math.nan},
)


def test_a_message_becomes_one_line_that_people_and_programs_can_read():
    lines = []
    LogChannel(lines.append).deliver(MESSAGE)
    [line] = lines
    assert "\n" not in line
    assert line.startswith("Oven 1 too hot: 218 °C is above 215 °C / Open the damper {")
    assert json.loads(line[line.index("{") :]) == {
        "key": "e1:raised:log",
        "value": 218.0,
        "share": None,
    }


def test_a_log_that_cannot_be_written_is_tried_again_later():
    def full_disk(line):
        raise OSError("no space left on device")

    with pytest.raises(DeliveryFailed, match="no space left") as failure:
        LogChannel(full_disk).deliver(MESSAGE)
    assert not failure.value.permanent
