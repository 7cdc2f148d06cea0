"""Faults of what Airflow runs for the platform, and what does not happen meanwhile: a scheduler
that does not run, a DAG that somebody paused, a task that failed for good."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from alerting.definitions.wording.language import join_first, template, translatable

AWAY = template("scheduler away")
PAUSED = template("schedule paused")
TASK = template("scheduled task failed")
SCHEDULED_KINDS = (AWAY, PAUSED, TASK)

_MEANWHILE = {
    "evaluate__arrived": template("new rows of a source are evaluated later"),
    "evaluate__": template("its definitions are not evaluated: none of these alarms can come"),
    "ingest__": template("its source is not read: alarms on its readings do not come"),
    "maintain": template(
        "outcomes are not determined, and repeats, escalations and digests are not sent"
    ),
    "report": template("no report is made"),
    "retain": template(
        "old data are not deleted, and models in service are not compared with what came"
    ),
    "start_due": template("no training and no predict job begins"),
    "predict": template("predict jobs wait"),
    "train__": template("this definition is not trained"),
}
"""By the beginning of the id of a DAG, what does not happen while it does not run or fails."""
_ALARMS_COME = ("report", "retain", "start_due", "predict", "train__")
_REPORTED_ELSEWHERE = ("predict", "train__")
"""DAGs whose failures are those of a predict job or of a training."""


_WITHOUT = {
    "API": template(
        "Airflow does not answer since {since}: none of its tasks runs, so no alarm of a cadence "
        "can come, and nothing is trained, reported or deleted"
    ),
    "scheduler": template(
        "Airflow's scheduler does not run since {since}: no alarm of a cadence can come, and "
        "nothing is trained, reported or deleted"
    ),
    "dag_processor": template(
        "Airflow's DAG processor does not run since {since}: a new definition is neither evaluated "
        "nor trained"
    ),
}
"""By the part of Airflow that is away, what does not happen meanwhile."""
PARTS = (*_WITHOUT,)


class FailedRun(NamedTuple):
    """The newest ended run of a DAG, which failed. `reason`: first line of the exception of its
    task, None without one; `log`: address of the log."""

    dag: str
    reason: str | None
    log: str


class PartAway(NamedTuple):
    """One of the `PARTS` of Airflow that does not run, and when it was seen last."""

    part: str
    since: datetime


@dataclass(frozen=True)
class SchedulerState:
    """Airflow's answer about itself. `paused`: ids of DAGs; it and `failed` are None if Airflow
    did not answer."""

    away: PartAway | None = None
    paused: Collection[str] | None = ()
    failed: Collection[FailedRun] | None = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of faults about which the answer tells."""
        return SCHEDULED_KINDS if self.paused is not None else (AWAY,)


def find_stopped(
    state: SchedulerState, streamed: Collection[str]
) -> Iterator[tuple[str, str, str]]:
    """Yield kind, subject and reason of the faults of DAGs of the platform; those of one sort that
    are paused are one fault. `streamed`: the sources that the stream service reads, whatever
    Airflow does."""
    if state.away is not None:
        yield AWAY, "Airflow", translatable(_WITHOUT[state.away.part], since=state.away.since)
    paused = defaultdict[str, list[str]](list)
    for dag in sorted(state.paused or ()):
        if dag.removeprefix("ingest__") not in streamed:
            paused[_find_start(dag)].append(dag)
    for start, dags in paused.items():
        if start:
            why = translatable(
                "paused in Airflow: {names}; until that is over, {missing}",
                names=join_first(dags, 3),
                missing=translatable(_MEANWHILE[start]),
            )
            yield PAUSED, dags[0] if len(dags) == 1 else f"{start}*", why
    for run in state.failed or ():
        start = _find_start(run.dag)
        if start and start not in _REPORTED_ELSEWHERE:
            why = translatable(
                "its last run failed: {fault}; until one succeeds, {missing}; log: {log}",
                fault=run.reason
                or translatable("its worker ended, or it took longer than allowed"),
                missing=translatable(_MEANWHILE[start]),
                log=run.log,
            )
            yield TASK, run.dag, why


def keeps_alarms(kind: str, subject: str) -> bool:
    """Return whether a fault is of a DAG without which every alarm still comes."""
    return kind in (PAUSED, TASK) and subject.startswith(_ALARMS_COME)


def _find_start(dag: str) -> str:
    """Return how the id of a DAG of the platform begins; empty for a DAG of others."""
    return next((s for s in _MEANWHILE if dag == s or (s.endswith("__") and dag.startswith(s))), "")
