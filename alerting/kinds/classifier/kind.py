"""Kind `classifier`: a trained model predicts the problem."""

from datetime import datetime
from typing import Literal

import numpy as np

from alerting.alarm_kpis.intervals import merge
from alerting.definitions.assets import Asset
from alerting.detection.problems import find_occurrences, predicts
from alerting.episodes.episode import Episode
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.kinds.classifier.evaluate import evaluate_part, explain_raise
from alerting.kinds.classifier.why import explain_instant
from alerting.kinds.kind import Charted, Gap, Inputs, Kind
from alerting.readings.history import History, from_millis, to_millis
from alerting.reporting.figures.episode_chart import Level, problem_levels


class ClassifierKind:
    """A trained model: will the problem occur within the horizon?"""

    evaluate = staticmethod(evaluate_part)
    explain = staticmethod(explain_raise)
    why = staticmethod(explain_instant)

    def inputs(self, definition: ClassifierDefinition, asset: Asset) -> Inputs:
        return Inputs()

    def outcome(self, definition: ClassifierDefinition, asset: Asset) -> Literal["onset", "state"]:
        return predicts(definition.problem, asset)

    def chart(self, definition: ClassifierDefinition, asset: Asset, episode: Episode) -> Charted:
        """Draw the risk, and the variable of the problem; for a predicted event the variable that contributed most."""
        strongest = max(episode.contributions, key=lambda c: abs(c.share), default=None)
        if definition.problem.variable is not None or strongest is None:
            variable = definition.problem.variable
            return Charted(variable, problem_levels(definition.problem), scored=True)
        usual = (Level(float(strongest.usual), "usual"),) if isinstance(strongest.usual, int | float) else ()
        return Charted(strongest.variable, usual, scored=True)

    def data_gaps(self, definition: ClassifierDefinition, history: History, start: datetime, end: datetime) -> tuple[Gap, ...]:
        """Return the times that do not count, and the time after the last reading."""
        last = history.readings.index[-1].to_pydatetime()
        gaps = [(max(last, start), end)] if last < end else []
        if predicts(definition.problem, history.asset) == "onset":
            problems = find_occurrences(definition, history)
            of, latest = problems.lasted, to_millis(end)
            known, recovered = problems.known_at[of], np.minimum(problems.recovered_at[of], latest)
            gaps += [(from_millis(a), from_millis(b)) for a, b in zip(known.tolist(), recovered.tolist(), strict=True) if a < b]
        return tuple(merge(gaps, start, end))


KIND: Kind[ClassifierDefinition] = ClassifierKind()
