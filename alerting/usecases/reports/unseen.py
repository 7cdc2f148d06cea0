"""Reports on the test periods of trainings, so that the first report on a model is not empty."""

from collections.abc import Callable
from datetime import datetime

from alerting.definitions.faults import UserError
from alerting.definitions.model import TrainedDefinition
from alerting.ports import ReportPorts
from alerting.usecases.definitions.lookup import active
from alerting.usecases.reports.make import make_report


def make_unseen_reports(platform: ReportPorts, as_of: datetime, say: Callable[[str], None]) -> int:
    """Report on the past that new models evaluated; return how many. Idempotent.

    A model evaluates no time that its training has seen. Raises UserError naming the reports that
    failed, after all others.
    """
    made = 0
    failed = []
    for revision in active(platform.definitions):
        if not isinstance(revision.definition, TrainedDefinition):
            continue
        past = [
            e
            for e in platform.past_evaluations.for_definition(revision.name)
            if e.model_version is not None and e.end <= as_of
        ]
        own = [e for e in past if e.model_version == past[-1].model_version]
        period = (min(e.start for e in own), max(e.end for e in own)) if own else None
        if period is None or _is_reported(platform, revision.name, *period):
            continue
        try:
            report = make_report(platform, revision.name, *period, as_of, unseen=True)
        except Exception as error:  # one report must not stop the others; the task fails at its end
            failed.append(f"{revision.name}: {type(error).__name__}: {error}")
            continue
        made += 1
        say(f"report on {revision.name}, test period of its training: /reports/{report.id}")
    if failed:
        raise UserError(
            f"{len(failed)} reports on test periods failed, {made} were made:\n" + "\n".join(failed)
        )
    return made


def _is_reported(platform: ReportPorts, name: str, start: datetime, end: datetime) -> bool:
    return any(
        head.unseen and head.start <= start and end <= head.end
        for head in platform.reports.for_definition(name)
    )
