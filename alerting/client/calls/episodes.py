"""Calls about episodes. Made by `python -m tools.client`."""

from collections.abc import Iterator

from alerting.client.shapes.episodes import EpisodeDetail, EpisodePage, ExperienceView, FeedbackBody
from alerting.client.shapes.shared import EpisodeSummary
from alerting.client.transport import Transport, segment
from alerting.client.values import Instant


class EpisodesCalls(Transport):
    """Calls about episodes."""

    def list_episodes(
        self,
        *,
        definition: str | None = None,
        asset: str | None = None,
        open: bool | None = None,
        from_: Instant | None = None,
        to: Instant | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        in_plant: str | None = None,
    ) -> EpisodePage:
        """List episodes, newest first, page by page; with `from` and `to` all that were open at
        some time between them. Instants are ISO 8601 with a zone."""
        answer: EpisodePage = self.call(
            "GET",
            "/episodes",
            query={
                "definition": definition,
                "asset": asset,
                "open": open,
                "from": from_,
                "to": to,
                "limit": limit,
                "cursor": cursor,
                "in_plant": in_plant,
            },
        )
        return answer

    def iterate_episodes(
        self,
        *,
        definition: str | None = None,
        asset: str | None = None,
        open: bool | None = None,
        from_: Instant | None = None,
        to: Instant | None = None,
        in_plant: str | None = None,
    ) -> Iterator[EpisodeSummary]:
        """Yield all items of `list_episodes`, page by page."""
        cursor = None
        while True:
            page = self.list_episodes(
                definition=definition,
                asset=asset,
                open=open,
                from_=from_,
                to=to,
                in_plant=in_plant,
                cursor=cursor,
            )
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return

    def show_episode(self, id: str) -> EpisodeDetail:
        """Show one episode with all details. The beginning of its id suffices if it is unique."""
        answer: EpisodeDetail = self.call("GET", f"/episodes/{segment(id)}")
        return answer

    def give_feedback(self, id: str, body: FeedbackBody) -> EpisodeDetail:
        """Record whether an alarm was right and which action followed; returns the episode with
        its outcome. Role: operator."""
        answer: EpisodeDetail = self.call("POST", f"/episodes/{segment(id)}/feedback", body=body)
        return answer

    def show_experience(self, id: str) -> ExperienceView:
        """Show what helped last time: earlier episodes most like one, what was done, and what
        came of it."""
        answer: ExperienceView = self.call("GET", f"/episodes/{segment(id)}/experience")
        return answer

    def live(
        self,
        *,
        after: str | None = None,
        last_event_id: str | None = None,
        in_plant: str | None = None,
    ) -> str:
        """Tell what changes, as server-sent events: the state of episodes, and counts of open
        ones. The data of an event is JSON. `episodes`: id, definition, asset, severity,
        `state` (expected, happening, over), whether acknowledged and muted. `open`,
        `unacknowledged`: counts by severity. `all`: more may have changed than is named;
        read the lists again. `shelves`, `handovers`, `platform`: shelves, hand-overs or
        faults of the platform have changed. Changes of a quarter of a second are one event.
        An event `alive` comes at least every 15 seconds. Where the database has no change
        streams, the answer is one event of the present state: ask again each second."""
        return self.read_text(
            "GET",
            "/live",
            query={"after": after, "in_plant": in_plant},
            headers={"last-event-id": last_event_id},
        )
