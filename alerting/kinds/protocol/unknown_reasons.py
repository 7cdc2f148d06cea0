"""Why the state of a target with a model is unknown where no model was asked."""

from alerting.definitions.wording.language import translatable
from alerting.kinds.protocol.evaluation import TargetEvaluation

OUT_OF_SERVICE = translatable("the definition is not in service")
NO_MODEL = translatable("no model is in service yet")
NO_LIMITS = translatable("no limits are in service yet")
NO_LEARNED_LIMITS = translatable("no learned limits are in service yet")
NOT_ASKED = translatable("the model has just gone into service and has not given a score yet")
WITHOUT_MODEL = frozenset({NO_MODEL, NO_LIMITS, NO_LEARNED_LIMITS})
"""The reasons that no longer hold once there is a champion, whatever an evaluation of before has
stored."""


def carried_reason(before: TargetEvaluation) -> str | None:
    """Return why the state is unknown with a model that was asked at no instant of its part: as it
    was, but not that there was no model, or no definition in service."""
    if not before.has_model:
        return NOT_ASKED
    if before.scores:
        return before.unknown
    reason = before.state.unknown_reason
    return NOT_ASKED if reason in WITHOUT_MODEL | {OUT_OF_SERVICE} else reason
