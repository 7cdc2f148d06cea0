"""Compare what the scores of the last week lead to expect with what its promotion measured, and
raise an alert for a model that is clearly worse."""

from datetime import datetime, timedelta

from alerting.definitions.faults import first_line
from alerting.definitions.model import Revision, TrainedDefinition
from alerting.definitions.wording.language import Styled, joined, template, translatable
from alerting.learning.metrics.bootstrap import OperatingRows
from alerting.ports import DecisionRecord, ModelUnavailable, UpkeepPorts
from alerting.ports.logs import id_logger
from alerting.reporting.definition.estimated import PerformanceCheck, compare_with_promotion
from alerting.reporting.definition.reported_problems import gap_and_horizon
from alerting.usecases.definitions.lookup import active
from alerting.usecases.definitions.platform_alerts import UNDERPERFORMS, record_faults
from alerting.usecases.definitions.versions import answer_at
from alerting.usecases.report_material.material import gather_material

CALIBRATED_OVER = timedelta(days=28)
RECENT = timedelta(days=7)

_NAMES = {"precision": template("precision"), "recall": template("recall")}

_log = id_logger(__name__)


def check_performance(platform: UpkeepPorts, as_of: datetime) -> dict[str, str]:
    """Check each trained definition, raise and end the alerts; return a sentence on each.
    Idempotent.

    What cannot be told keeps its alert, unless another model serves since it. One model that cannot
    be checked stops no other.
    """
    said = dict[str, str]()
    faults = dict[str, str]()
    told = set[str]()
    opened = {
        alert.subject: alert.opened_at
        for alert in platform.platform_alerts.open()
        if alert.kind == UNDERPERFORMS
    }
    revisions = active(platform.definitions)
    for revision in revisions:
        try:
            serving = _serving(platform, revision, as_of)
            if serving is not None and serving.at > opened.get(revision.name, as_of):
                told.add(revision.name)  # the alert is on the model before
            check = check_model(platform, revision, serving, as_of)
        except ModelUnavailable as unavailable:  # has a platform alert of its own
            _log.warning("performance not checked: %s", unavailable, definition=revision.name)
            continue
        except Exception as fault:  # of one model: the others are checked
            _log.warning("performance not checked: %s", first_line(fault), definition=revision.name)
            continue
        if check is None:
            continue
        said[revision.name] = _describe(check)
        if not check.doubt:
            told.add(revision.name)
        if check.worse:
            faults[revision.name] = said[revision.name]
    names = {revision.name for revision in revisions}
    record_faults(
        platform.platform_alerts,
        UNDERPERFORMS,
        faults,
        as_of,
        lambda name: name in told or name not in names,
    )
    return said


def _serving(platform: UpkeepPorts, revision: Revision, as_of: datetime) -> DecisionRecord | None:
    """Return the promotion of the model that serves."""
    decisions = platform.decisions.for_definition(revision.name)
    version = answer_at(platform.definitions.revisions(revision.name), decisions, as_of).version
    own = (d for d in reversed(decisions) if d.promoted and d.challenger_version == version)
    return None if version is None else next(own, None)


def check_model(
    platform: UpkeepPorts, revision: Revision, serving: DecisionRecord | None, as_of: datetime
) -> PerformanceCheck | None:
    """Check the model that serves; None of one whose promotion measured no rows.

    Scores of before its promotion are left out: they are of another model.
    """
    definition = revision.definition
    stated = serving.evidence.get("operating_rows") if serving else None
    if serving is None or stated is None or not isinstance(definition, TrainedDefinition):
        return None
    start = max(as_of - CALIBRATED_OVER, serving.at)
    if start >= as_of:
        return None
    scores = gather_material(platform, revision, start, as_of, as_of).scores
    own = scores[scores["model_version"] == serving.challenger_version]
    recent = max(as_of - RECENT, serving.at)
    return compare_with_promotion(
        own, recent, OperatingRows.from_document(stated), *gap_and_horizon(definition)
    )


def _describe(check: PerformanceCheck) -> str:
    now = check.estimated
    if now is None:
        return translatable("cannot tell: {why}", why=check.doubt or "")
    figures = [
        translatable(
            "{name} {share} instead of {before}",
            name=translatable(_NAMES[name]),
            share=Styled(getattr(now, name), "share"),
            before=Styled(getattr(check.measured, name), "share"),
        )
        for name in check.worse or _NAMES
    ]
    text = translatable(
        "from its scores of the last {number} days are to be expected: {figures}",
        number=RECENT.days,
        figures=joined(", ", *figures),
    )
    return (
        translatable(
            "{expected}, clearly below what its promotion measured; train again", expected=text
        )
        if check.worse
        else text
    )
