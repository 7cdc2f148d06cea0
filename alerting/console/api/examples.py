"""Examples of the bodies that people write, by the name of their schema."""

from collections.abc import Mapping
from typing import Any

_AT = "2026-01-05T09:45:00Z"
_REASON = {"reason": "agreed with the shift"}
_DEFINITION = {"definition": "oven-too-hot", "asset": "oven-1"}
EXAMPLES: Mapping[str, dict[str, Any]] = {
    "FeedbackBody": {"verdict": "true_alarm", "acted": True, "action": "zone 2 to 221 °C"},
    "AckBody": {"note": "on my way"},
    "CloseBody": {"reason": "the belt was emptied"},
    "ConfirmBody": {"action": "slowed the belt", "acted_at": _AT},
    "CommentBody": {"comment": "the damper sticks"},
    "AssignBody": {"to": "anna"},
    "MuteBody": {"kind": "maintenance", "part": "oven-1", "for": "2h", "reason": "belt change"},
    "EndingEventBody": {"type": "start", "asset": "oven-1"},
    "ProlongBody": {"until": "2026-01-05T14:00:00Z"},
    "EndBody": {"reason": "sensor is replaced"},
    "MissBody": {**_DEFINITION, "at": _AT, "comment": "zone 2 was too hot, no alarm came"},
    "RetireBody": _REASON,
    "ChangeBody": _REASON,
    "RestoreBody": {**_REASON, "revision": 2},
    "PreviewBody": {
        "definition": {
            "name": "oven-too-hot",
            "kind": "threshold",
            "assets": ["oven-1"],
            "variable": "zone_2_temperature",
            "above": 215,
        },
        "from": "2026-01-01T00:00:00Z",
        "to": "2026-01-29T00:00:00Z",
    },
    "ApprovalBody": {"run": "3b1f6f7c7c1d4f0c9f0e2f6a5d4c3b2a"},
    "RejectionBody": {"reason": "too many false alarms"},
    "RollbackBody": {"reason": "misses since Monday"},
    "TrainingBody": {"reason": "new sensor since Monday"},
    "CancelBody": {"reason": "started by mistake"},
    "ReadingBody": {"ts": _AT, "asset": "oven-1", "values": {"zone_2_temperature": 216.4}},
    "EventBody": {"ts": _AT, "asset": "oven-1", "type": "stop", "end": None},
    "PredictBody": {"asset": "oven-1"},
    "PredictBatchBody": {"assets": ["oven-1", "oven-2"]},
    "LabelBody": {
        "asset": "oven-1",
        "variables": ["zone_2_temperature"],
        "start": "2026-01-05T08:00:00Z",
        "end": _AT,
        "kind": "bad",
        "reason": "the sensor was exchanged",
    },
    "UndoBody": {"reason": "another asset was meant"},
    "RetryBody": {"id": "all"},
    "TokenBody": {
        "name": "gateway-3",
        "owner": "anna",
        "role": "sender",
        "ends_at": "2027-01-05T00:00:00Z",
    },
}
