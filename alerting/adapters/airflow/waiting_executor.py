"""Airflow's Celery executor with a broker that may be away for a while."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow.providers.celery.executors.celery_executor import CeleryExecutor
from airflow.providers.celery.executors.celery_executor_utils import (
    ExceptionWithTraceback,
    send_workload_to_executor,
)
from airflow.sdk.exceptions import AirflowTaskTimeout
from kombu.exceptions import OperationalError

if TYPE_CHECKING:
    from airflow.models.taskinstance import TaskInstance
    from airflow.providers.celery.executors.celery_executor_utils import (
        WorkloadInCelery,
        WorkloadInCeleryResult,
    )

_log = logging.getLogger(__name__)
_AWAY = (OperationalError, AirflowTaskTimeout, OSError)


class WaitingCeleryExecutor(CeleryExecutor):  # type: ignore[misc]  # Airflow has no types here
    """A Celery executor whose tasks wait for a broker that does not answer.

    Airflow's own executor marks a task that could not be sent as failed, which uses up one of its
    tries.
    """

    def _send_workloads_to_celery(
        self, workload_tuples_to_send: Sequence["WorkloadInCelery"]
    ) -> list["WorkloadInCeleryResult"]:
        """Send tasks in this order, and return the tasks that were sent or refused. The first task
        for which no broker answers and all tasks after it stay queued, and are sent at a later
        heartbeat.

        A task has its number in the broker beforehand. So the worker recognizes a task that is sent
        twice, because it arrived and the broker's answer did not.
        """
        sent: list[WorkloadInCeleryResult] = []
        for workload in workload_tuples_to_send:
            answer = send_workload_to_executor(workload)
            result = answer[2]
            if isinstance(result, ExceptionWithTraceback) and isinstance(result.exception, _AWAY):
                _log.warning(
                    "the broker does not answer (%s): %d tasks wait",
                    type(result.exception).__name__,
                    len(workload_tuples_to_send) - len(sent),
                )
                break
            sent.append(answer)
        return sent

    def revoke_task(self, *, ti: "TaskInstance") -> None:
        """Forget a task that the scheduler sends again. Its message is not withdrawn: that blocks
        the scheduler for six seconds while the broker is away, and a task that is sent twice runs
        once."""
        key = self.get_task_key(ti) if self.supports_task_instance_uuid else ti.key
        self.workloads.pop(key, None)
        super().revoke_task(ti=ti)
