"""A demo line on which two causes have one signature: in both, burner 2 loses power."""

from dataclasses import dataclass, replace

from alerting.demo.disturbances import SIZES, Disturbance, LineSchedule
from alerting.demo.line import DemoLineState

REST = 0.4  # share of its size that damp air keeps beside the fault of the burner
_FAULT_OF_DAMP = sum(SIZES["burner-fault"]) / sum(SIZES["damp-air"])


class SharedSignatureSchedule(LineSchedule):
    """Programme on which damp air is weaker, and takes the flame of burner 2 with it."""

    def acting(self, minute: int) -> tuple[Disturbance, ...]:
        """Return this minute's disturbances, damp air as two."""
        return tuple(one for found in super().acting(minute) for one in _split(found))


def _split(found: Disturbance) -> tuple[Disturbance, ...]:
    """Return damp air with the fault of the burner that comes with it. The crew answers once."""
    if found.cause != "damp-air":
        return (found,)
    fault = replace(
        found, cause="burner-fault", size=found.size * _FAULT_OF_DAMP, answered=None, answer={}
    )
    return replace(found, size=REST * found.size), fault


@dataclass(frozen=True)
class SharedSignatureLine(DemoLineState):
    """State of such a line."""

    @property
    def schedule(self) -> LineSchedule:
        """Return the programme of this line."""
        return SharedSignatureSchedule(self.seed, self.live_from)
