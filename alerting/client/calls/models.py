"""Calls about models. Made by `python -m tools.client`."""

from alerting.client.shapes.models import (
    ApprovalBody,
    CancelBody,
    DecidedView,
    ModelDetail,
    ModelSummary,
    RejectionBody,
    RollbackBody,
    TrainingBody,
    TrainingsView,
)
from alerting.client.transport import Transport, segment


class ModelsCalls(Transport):
    """Calls about models."""

    def list_models(self, *, in_plant: str | None = None) -> list[ModelSummary]:
        """List the definitions in service with a model, those that wait for a person first."""
        answer: list[ModelSummary] = self.call("GET", "/models", query={"in_plant": in_plant})
        return answer

    def show_models(self, name: str) -> ModelDetail:
        """Show the models of a definition: what waits, the candidates of the last training,
        curve and evidence, versions and decisions."""
        answer: ModelDetail = self.call("GET", f"/definitions/{segment(name)}/models")
        return answer

    def approve_model(self, name: str, body: ApprovalBody | None = None) -> DecidedView:
        """Put the version that waits into service. The same decision as by command and in
        Airflow: 409 names the person who was first. Role: engineer."""
        answer: DecidedView = self.call(
            "POST", f"/definitions/{segment(name)}/models:approve", body=body
        )
        return answer

    def reject_model(self, name: str, body: RejectionBody) -> DecidedView:
        """Reject the version that waits, with a reason. Role: engineer."""
        answer: DecidedView = self.call(
            "POST", f"/definitions/{segment(name)}/models:reject", body=body
        )
        return answer

    def roll_back(self, name: str, body: RollbackBody) -> DecidedView:
        """Put an earlier version back into service, from now on. Role: engineer."""
        answer: DecidedView = self.call(
            "POST", f"/definitions/{segment(name)}/models:rollback", body=body
        )
        return answer

    def list_trainings(self, name: str) -> TrainingsView:
        """Show the newest training of each question of a definition with its state and step,
        why it failed or put nothing into service, and what to do."""
        answer: TrainingsView = self.call("GET", f"/definitions/{segment(name)}/trainings")
        return answer

    def start_training(self, name: str, body: TrainingBody | None = None) -> TrainingsView:
        """Ask for a training of the definition as it is now; the platform starts it within a
        minute or two. One at a time: a request that waits is the same request. Role:
        engineer."""
        answer: TrainingsView = self.call(
            "POST", f"/definitions/{segment(name)}/trainings", body=body
        )
        return answer

    def cancel_training(self, name: str, body: CancelBody) -> TrainingsView:
        """End the training that is under way, at its next trial, or take back a request. Role:
        engineer."""
        answer: TrainingsView = self.call(
            "POST", f"/definitions/{segment(name)}/trainings:cancel", body=body
        )
        return answer
