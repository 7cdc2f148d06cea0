"""Calls about reports. Made by `python -m tools.client`."""

from typing import Literal

from alerting.client.shapes.reports import (
    AnsweredOffer,
    MissBody,
    MissView,
    OfferBody,
    OfferRefusalBody,
    PlantSumsPage,
    ReportDetail,
    ReportSummary,
    TableView,
)
from alerting.client.transport import Transport, segment
from alerting.client.values import Instant


class ReportsCalls(Transport):
    """Calls about reports."""

    def list_reports(
        self,
        *,
        definition: str | None = None,
        plant: bool | None = None,
        in_plant: str | None = None,
    ) -> list[ReportSummary]:
        """List performance reports with all revisions, by definition, newest period first;
        those on the plant come first."""
        answer: list[ReportSummary] = self.call(
            "GET",
            "/reports",
            query={"definition": definition, "plant": plant, "in_plant": in_plant},
        )
        return answer

    def show_report(self, id: str) -> str:
        """Return the page of a report as one self-contained HTML file."""
        return self.read_text("GET", f"/reports/{segment(id)}")

    def show_report_metrics(self, id: str) -> ReportDetail:
        """Show a report as JSON: its sentences, its differences from the revision before, and
        all its metrics."""
        answer: ReportDetail = self.call("GET", f"/reports/{segment(id)}/metrics")
        return answer

    def show_report_table(self, id: str, table: str) -> TableView:
        """Show a table of a report as JSON."""
        answer: TableView = self.call("GET", f"/reports/{segment(id)}/tables/{segment(table)}")
        return answer

    def download_report_table(self, id: str, table: str) -> str:
        """Return a table of a report as CSV."""
        return self.read_text("GET", f"/reports/{segment(id)}/tables/{segment(table)}/csv")

    def list_misses(
        self,
        *,
        definition: str | None = None,
        from_: Instant | None = None,
        to: Instant | None = None,
        limit: int | None = None,
        in_plant: str | None = None,
    ) -> list[MissView]:
        """List reported misses, newest first."""
        answer: list[MissView] = self.call(
            "GET",
            "/misses",
            query={
                "definition": definition,
                "from": from_,
                "to": to,
                "limit": limit,
                "in_plant": in_plant,
            },
        )
        return answer

    def report_miss(self, body: MissBody) -> MissView:
        """Report a problem for which no alert was raised; it enters reports and the next
        training. Role: operator."""
        answer: MissView = self.call("POST", "/misses", body=body)
        return answer

    def show_plant(
        self,
        *,
        period: Literal["shift", "week", "month"] | None = None,
        line: str | None = None,
        in_plant: str | None = None,
    ) -> PlantSumsPage:
        """Show the plant in figures: problems predicted, avoided and missed, false alarms,
        their money, twelve weeks, and the proposals worth most."""
        answer: PlantSumsPage = self.call(
            "GET", "/plant", query={"period": period, "line": line, "in_plant": in_plant}
        )
        return answer

    def refuse_proposal(self, name: str, body: OfferRefusalBody) -> AnsweredOffer:
        """Refuse a proposal with a reason: it is not offered again until its figures change
        beyond their bounds. Role: engineer."""
        answer: AnsweredOffer = self.call(
            "POST", f"/plant/proposals/{segment(name)}:refuse", body=body
        )
        return answer

    def apply_proposal(self, name: str, body: OfferBody) -> AnsweredOffer:
        """Apply a proposal as any change is applied; 409 if it is not offered any more, or its
        definition was changed since. Role: engineer."""
        answer: AnsweredOffer = self.call(
            "POST", f"/plant/proposals/{segment(name)}:apply", body=body
        )
        return answer
