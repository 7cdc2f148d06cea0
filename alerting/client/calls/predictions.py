"""Calls about predictions. Made by `python -m tools.client`."""

from alerting.client.shapes.predictions import (
    JobBody,
    JobView,
    PredictBatchBody,
    PredictBody,
    PredictionBatchView,
    PredictionView,
)
from alerting.client.transport import Transport, segment
from alerting.client.values import FileContent


class PredictionsCalls(Transport):
    """Calls about predictions."""

    def predict(self, name: str, body: PredictBody) -> PredictionView:
        """Score an asset at one instant: of the stored readings, or of raw readings that are
        sent. Stores nothing. Role: viewer."""
        answer: PredictionView = self.call(
            "POST", f"/definitions/{segment(name)}/predict", body=body
        )
        return answer

    def predict_batch(self, name: str, body: PredictBatchBody) -> PredictionBatchView:
        """Score several assets at one instant, of the stored readings: each as `predict` does
        alone. An asset without an answer states its fault. Stores nothing. Role: viewer."""
        answer: PredictionBatchView = self.call(
            "POST", f"/definitions/{segment(name)}/predict-batch", body=body
        )
        return answer

    def order_predict_job(
        self,
        name: str,
        body: FileContent | JobBody,
        *,
        asset: str | None = None,
        asset_column: str | None = None,
        time: str | None = None,
    ) -> JobView:
        """Score a Parquet file of readings, as `import readings` reads it: the body, or an
        object in a store. Role: engineer. The body is the file, at most 1 GiB, or, of
        content type application/json, the address of one. `asset`: the asset of all rows,
        else that in `asset_column` (`asset` when left out); `time`: the column of the time
        stamps, found when left out. Airflow works at one job at a time."""
        answer: JobView = self.call(
            "POST",
            f"/definitions/{segment(name)}/predict-jobs",
            query={"asset": asset, "asset_column": asset_column, "time": time},
            body=body,
            file_type="application/vnd.apache.parquet",
        )
        return answer

    def list_predict_jobs(self, *, in_plant: str | None = None) -> list[JobView]:
        """List predict jobs, newest first."""
        answer: list[JobView] = self.call("GET", "/predict-jobs", query={"in_plant": in_plant})
        return answer

    def show_predict_job(self, id: str) -> JobView:
        """Show a predict job with its progress, and its result or fault."""
        answer: JobView = self.call("GET", f"/predict-jobs/{segment(id)}")
        return answer

    def download_scores(self, id: str) -> bytes:
        """Send the scores of a job as Parquet: time, asset, score, threshold, model_version,
        reason where unknown."""
        return self.read_bytes("GET", f"/predict-jobs/{segment(id)}/scores")

    def cancel_predict_job(self, id: str) -> JobView:
        """Cancel a predict job that is not over. Role: engineer."""
        answer: JobView = self.call("POST", f"/predict-jobs/{segment(id)}/cancel")
        return answer
