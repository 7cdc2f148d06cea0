"""Calls about trends. Made by `python -m tools.client`."""

from collections.abc import Iterator, Sequence

from alerting.client.shapes.trends import (
    AssetView,
    BandsView,
    FoundTimesView,
    LabelBody,
    LabelPage,
    LabelView,
    SeriesView,
    UndoBody,
    VariablePageView,
    VariableStatistics,
    VariableView,
)
from alerting.client.transport import Transport, segment
from alerting.client.values import Instant


class TrendsCalls(Transport):
    """Calls about trends."""

    def list_events(
        self, *, asset: str, start: Instant, end: Instant, in_plant: str | None = None
    ) -> BandsView:
        """List the events of an asset and those above it, and its episodes, that overlap a
        span."""
        answer: BandsView = self.call(
            "GET",
            "/events",
            query={"asset": asset, "start": start, "end": end, "in_plant": in_plant},
        )
        return answer

    def list_assets(self, *, in_plant: str | None = None) -> list[AssetView]:
        """List all assets by name."""
        answer: list[AssetView] = self.call("GET", "/assets", query={"in_plant": in_plant})
        return answer

    def list_variables(
        self, asset: str, *, limit: int | None = None, after: str | None = None
    ) -> VariablePageView:
        """List the variables of an asset with what came of them over the last day, page by
        page."""
        answer: VariablePageView = self.call(
            "GET", f"/assets/{segment(asset)}/variables", query={"limit": limit, "after": after}
        )
        return answer

    def iterate_variables(self, asset: str) -> Iterator[VariableView]:
        """Yield all items of `list_variables`, page by page."""
        after = None
        while True:
            page = self.list_variables(asset, after=after)
            yield from page["items"]
            after = page["next"]
            if after is None:
                return

    def show_series(
        self,
        *,
        asset: str,
        variable: Sequence[str],
        start: Instant,
        end: Instant,
        points: int | None = None,
        in_plant: str | None = None,
    ) -> SeriesView:
        """Show series of up to 12 numbers of an asset, decimated so that minimum and maximum
        stay. At most 4,000 readings of a variable are given as they are: low, high and mean
        are the value. Texts and booleans have no series."""
        answer: SeriesView = self.call(
            "GET",
            "/series",
            query={
                "asset": asset,
                "variable": variable,
                "start": start,
                "end": end,
                "points": points,
                "in_plant": in_plant,
            },
        )
        return answer

    def show_statistics(
        self,
        *,
        asset: str,
        variable: Sequence[str],
        start: Instant,
        end: Instant,
        in_plant: str | None = None,
    ) -> list[VariableStatistics]:
        """Return statistics of numeric variables over a time, of the readings themselves: at
        most 3 million readings within a year."""
        answer: list[VariableStatistics] = self.call(
            "GET",
            "/statistics",
            query={
                "asset": asset,
                "variable": variable,
                "start": start,
                "end": end,
                "in_plant": in_plant,
            },
        )
        return answer

    def show_occurrences(
        self,
        *,
        asset: str,
        variable: str,
        start: Instant,
        end: Instant,
        above: float | None = None,
        below: float | None = None,
        for_: str | None = None,
        in_plant: str | None = None,
    ) -> FoundTimesView:
        """Find the times at which a variable was above a value, below one, or outside of both,
        for at least a time: as the problem of a definition is found."""
        answer: FoundTimesView = self.call(
            "GET",
            "/occurrences",
            query={
                "asset": asset,
                "variable": variable,
                "start": start,
                "end": end,
                "above": above,
                "below": below,
                "for": for_,
                "in_plant": in_plant,
            },
        )
        return answer

    def list_marks(
        self,
        *,
        asset: str,
        limit: int | None = None,
        cursor: str | None = None,
        in_plant: str | None = None,
    ) -> LabelPage:
        """List the labels of an asset, undone ones among them, page by page."""
        answer: LabelPage = self.call(
            "GET",
            "/labels",
            query={"asset": asset, "limit": limit, "cursor": cursor, "in_plant": in_plant},
        )
        return answer

    def iterate_marks(self, *, asset: str, in_plant: str | None = None) -> Iterator[LabelView]:
        """Yield all items of `list_marks`, page by page."""
        cursor = None
        while True:
            page = self.list_marks(asset=asset, in_plant=in_plant, cursor=cursor)
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return

    def mark_time(self, body: LabelBody) -> LabelView:
        """Label a time of an asset. Idempotent: the same label in force is returned as it is.
        Role: engineer."""
        answer: LabelView = self.call("POST", "/labels", body=body)
        return answer

    def undo_mark(self, id: str, body: UndoBody | None = None) -> LabelView:
        """Undo a label; its document stays. Idempotent. Role: engineer."""
        answer: LabelView = self.call("POST", f"/labels/{segment(id)}:undo", body=body)
        return answer
