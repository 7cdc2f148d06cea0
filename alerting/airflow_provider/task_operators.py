"""Operators that apply documents to the platform, and ask it for predictions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import yaml
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from alerting.airflow_provider.hooks import DEFAULT_CONNECTION, AlertingHook

DocumentSort = Literal["definition", "source", "sink", "route", "asset"]


class ApplyOperator(BaseOperator):  # type: ignore[misc]  # Airflow has no types here
    """Apply documents of one sort, and return name, action and revision of each.

    `documents`: YAML with `---` between them, the name of a file beside the DAG that ends in
    `.yaml`, or a list. Unchanged documents get no revision. A faulty document fails the task
    without another try; those before it are applied.
    """

    template_fields: Sequence[str] = ("documents", "reason")
    template_ext: Sequence[str] = (".yaml", ".yml")

    def __init__(
        self,
        *,
        documents: str | Sequence[Mapping[str, Any]],
        sort: DocumentSort = "definition",
        reason: str = "DAG {{ dag.dag_id }}",
        alerting_conn_id: str = DEFAULT_CONNECTION,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.documents = documents
        self.sort = sort
        self.reason = reason
        self.alerting_conn_id = alerting_conn_id

    def execute(self, context: Any) -> list[dict[str, Any]]:  # noqa: ARG002
        """Apply the documents in their order. Raises as `AlertingHook.call` does."""
        documents = self.documents
        if isinstance(documents, str):
            try:
                documents = [d for d in yaml.safe_load_all(documents) if d is not None]
            except yaml.YAMLError as fault:
                raise AirflowFailException(f"not YAML: {fault}") from fault
        hook = AlertingHook(self.alerting_conn_id)
        applied = []
        for document in documents:
            if not isinstance(document, Mapping) or not document.get("name"):
                raise AirflowFailException(
                    f"a {self.sort} is a mapping with a name: {document!r:.200}"
                )
            name = str(document["name"])
            expected = self._expected(hook, name)
            answer = hook.call(
                f"apply_{self.sort}", name, dict(document), reason=self.reason, **expected
            )
            applied.append({key: answer[key] for key in ("name", "action", "revision")})
            self.log.info("%s %s: %s", self.sort, name, answer["action"])
        return applied

    def _expected(self, hook: AlertingHook, name: str) -> dict[str, str]:
        """Return the condition under which the document is applied: nobody else changes it
        meanwhile."""
        try:
            return {"if_match": f'"{hook.call(f"show_{self.sort}", name)["revision"]}"'}
        except AirflowFailException as refusal:
            if getattr(refusal.__cause__, "status", None) != 404:
                raise
            return {"if_none_match": "*"}


class PredictOperator(BaseOperator):  # type: ignore[misc]  # Airflow has no types here
    """Ask for the scores of assets at one instant, and return the predictions, by asset.

    `assets`: at most 100. `at`: ISO 8601; now when left out. An asset without an answer, e.g.
    without a champion, fails the task; a score that is unknown does not.
    """

    template_fields: Sequence[str] = ("definition", "assets", "at")

    def __init__(
        self,
        *,
        definition: str,
        assets: Sequence[str],
        at: str | datetime | None = None,
        alerting_conn_id: str = DEFAULT_CONNECTION,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.definition = definition
        self.assets = assets
        self.at = at
        self.alerting_conn_id = alerting_conn_id

    def execute(self, context: Any) -> dict[str, Any]:  # noqa: ARG002
        """Return the predictions. Raises AirflowFailException with the fault of each asset that has
        none, and as `AlertingHook.call` does."""
        question = {"assets": list(self.assets)} | ({"at": self.at} if self.at else {})
        hook = AlertingHook(self.alerting_conn_id)
        answers = hook.call("predict_batch", self.definition, question)["answers"]
        if faults := [
            f"{answer['asset']}: {answer['fault']}" for answer in answers if answer["fault"]
        ]:
            raise AirflowFailException("\n".join(faults))
        return {answer["asset"]: answer["prediction"] for answer in answers}
