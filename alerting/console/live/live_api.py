"""REST API, version 1: the stream of what changes."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response

from alerting.adapters.platform import Platform
from alerting.console.access import Access
from alerting.console.api.api import Served, Viewer
from alerting.console.live.changes import LiveChanges
from alerting.console.live.frames import frame, state_mark
from alerting.console.live.stream import EVENT_STREAM, LiveStream
from alerting.ports import live_episode

router = APIRouter(prefix="/api/v1")
_DESCRIPTION = "Server-sent events, until one side ends the stream."
_EVENT = {
    "type": "object",
    "description": "One event.",
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string"},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "retry": {"type": "integer", "description": "Milliseconds."},
    },
}
_ANSWER = {
    "description": _DESCRIPTION,
    "content": {EVENT_STREAM: {"schema": _EVENT}},
}


@router.get(
    "/live", tags=["episodes"], status_code=200, response_class=LiveStream, responses={200: _ANSWER}
)
def live(
    request: Request,
    platform: Served,
    person: Viewer,
    last_event_id: Annotated[
        str, Header(max_length=40, description="The id of the last event; browsers send it.")
    ] = "",
    after: Annotated[
        str, Query(max_length=40, description="The same, for readers that can send no header.")
    ] = "",
) -> Response:
    """Tell what changes, as server-sent events: the state of episodes, and counts of open ones.

    The data of an event is JSON. `episodes`: id, definition, asset, severity, `state` (expected,
    happening, over), whether acknowledged and muted. `open`, `unacknowledged`: counts by severity.
    `all`: more may have changed than is named; read the lists again. `mutes`,
    `platform`: mutes or faults of the platform have changed. Changes of a quarter of
    a second are one event. An event `alive` comes at least every 15 seconds. Where the database has
    no change streams, the answer is one event of the present state: ask again each second.
    """
    last_mark = last_event_id or after
    changes: LiveChanges = request.app.state.live
    access: Access = request.app.state.entrance.access
    now = request.app.state.entrance.now
    return LiveStream(
        request,
        changes,
        last_mark,
        lambda: access.find_again(person, now()),
        partial(_present, platform, last_mark),
    )


def _present(platform: Platform, last_mark: str) -> bytes:
    """Return an event of the present state, whose id changes when it does."""
    still_open = [live_episode(one) for one in platform.episodes.find(open_only=True)]
    others = [(one.id, one.version) for one in platform.mutes.not_ended()]
    faults = [(one.kind, one.subject) for one in platform.platform_alerts.open()]
    mark = state_mark(still_open, (*others, *faults))
    return frame(mark, (), still_open, look_again=mark != last_mark)
