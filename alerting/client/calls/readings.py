"""Calls about readings. Made by `python -m tools.client`."""

from collections.abc import Sequence
from typing import Literal

from alerting.client.shapes.readings import (
    ChoicesBody,
    DeliveryView,
    EventBody,
    ImportView,
    ReadingBody,
)
from alerting.client.transport import Transport, segment
from alerting.client.values import FileContent


class ReadingsCalls(Transport):
    """Calls about readings."""

    def send_readings(
        self,
        body: ReadingBody | Sequence[ReadingBody],
        *,
        source: str | None = None,
        idempotency_key: str | None = None,
    ) -> DeliveryView:
        """Store readings: rows of `ts`, `asset` and `values`. With `source`, as its document
        maps them. Role: sender, or engineer. A row that cannot be stored does not stop the
        others. The answer is sent when the rows are in the journal of the database."""
        answer: DeliveryView = self.call(
            "POST",
            "/readings",
            query={"source": source},
            headers={"idempotency-key": idempotency_key},
            body=body,
        )
        return answer

    def send_events(
        self,
        body: EventBody | Sequence[EventBody],
        *,
        source: str | None = None,
        idempotency_key: str | None = None,
    ) -> DeliveryView:
        """Store events: rows of `ts`, `asset`, `type` and perhaps `end`; other fields are
        attributes. Role: sender, or engineer. With `source`, as its document maps them. The
        same event sent again, e.g. with its end, is merged."""
        answer: DeliveryView = self.call(
            "POST",
            "/events",
            query={"source": source},
            headers={"idempotency-key": idempotency_key},
            body=body,
        )
        return answer

    def upload_import(
        self,
        body: FileContent,
        *,
        name: str | None = None,
        asset: str | None = None,
        what: Literal["readings", "events"] | None = None,
    ) -> ImportView:
        """Send a file of readings or events, CSV (also compressed) or Parquet, at most 2 GiB,
        as `alerting import` reads it. It is checked at once, not written. Role: engineer. A
        person has at most four files under way and twenty in all; they are deleted after a
        day."""
        answer: ImportView = self.call(
            "POST",
            "/imports",
            query={"name": name, "asset": asset, "what": what},
            body=body,
            file_type="application/octet-stream",
        )
        return answer

    def list_imports(self, *, in_plant: str | None = None) -> list[ImportView]:
        """List imports, newest first: all of them for an engineer of the whole plant, else
        one's own. Role: engineer."""
        answer: list[ImportView] = self.call("GET", "/imports", query={"in_plant": in_plant})
        return answer

    def show_import(self, id: str, *, wait: int | None = None) -> ImportView:
        """Show an import: its state and progress, what was recognised, the first rows, the
        result. Role: engineer."""
        answer: ImportView = self.call("GET", f"/imports/{segment(id)}", query={"wait": wait})
        return answer

    def delete_import(self, id: str) -> None:
        """Delete an import and its file; one under way stops, and what it has written stays.
        Role: engineer."""
        self.call("DELETE", f"/imports/{segment(id)}")

    def write_import(self, id: str) -> ImportView:
        """Write the lines of a checked file, or go on with a write that was interrupted. Role:
        engineer."""
        answer: ImportView = self.call("POST", f"/imports/{segment(id)}:write")
        return answer

    def check_import(self, id: str, body: ChoicesBody) -> ImportView:
        """Check the file again with these choices; nothing is written. Role: engineer."""
        answer: ImportView = self.call("POST", f"/imports/{segment(id)}:check", body=body)
        return answer

    def download_rejects(self, id: str) -> str:
        """Send the bad lines that an import left out, with their reasons, as CSV. Role:
        engineer."""
        return self.read_text("GET", f"/imports/{segment(id)}/rejects")
