"""Announcement of the first alert after a start, in three lines. It never fails."""

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from alerting.local import parts
from alerting.settings.environment import read_settings

POLL_S = 2.0


def main() -> int:
    """Wait for the first alert and print it as JSON on the last line."""
    settings = read_settings(os.environ)
    tokens = Path(
        os.environ.get("ALERTING_API_TOKENS_FILE") or settings.home / "secrets" / "api_tokens.json"
    )
    token = _reading_token(json.loads(tokens.read_text()))
    console = parts.api_uri(settings)
    with httpx.Client(
        base_url=console,
        headers={"authorization": f"Bearer {token}"},
        timeout=10.0,
        trust_env=False,
    ) as http:
        earlier_ids: set[str] | None = None
        while True:
            found = _live_episodes(http)
            if (
                found is not None
                and earlier_ids is not None
                and (new := [e for e in found if e["id"] not in earlier_ids])
            ):
                sys.stdout.write(json.dumps(alert_lines(new[-1], console)) + "\n")
                return 0
            earlier_ids = (
                {e["id"] for e in found}
                if earlier_ids is None and found is not None
                else earlier_ids
            )
            time.sleep(POLL_S)


def _reading_token(owners: dict[str, dict[str, str]]) -> str:
    """Return a token whose owner may read. Raises StopIteration without one."""
    return next(token for token, owner in owners.items() if owner["role"] != "sender")


def alert_lines(episode: dict[str, Any], console: str) -> list[str]:
    """Return the lines of an alert: title and asset, reason, link."""
    over = "" if episode["condition"] == "open" else ", over by now"
    what = f"{episode['title']}, on {episode['asset']} ({episode['severity']}{over})"
    return [what, str(episode["reason"]), f"{console}/episodes/{episode['id']}"]


def announcement(log: Path) -> list[str]:
    """Return the lines of the alert that `main` printed; none if they cannot be read."""
    try:
        lines = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
    except (OSError, ValueError, IndexError):
        return []
    return [str(line) for line in lines] if isinstance(lines, list) else []


def _live_episodes(http: httpx.Client) -> list[dict[str, Any]] | None:
    """Return the newest episodes that are not backfilled, newest first; None while the API does not
    answer.

    It includes closed ones, because an episode of the demo line may open and close between two
    requests.
    """
    try:
        answer = http.get("/api/v1/episodes", params={"limit": 200})
        items = answer.json()["items"] if answer.is_success else None
    except (httpx.HTTPError, ValueError, KeyError):
        return None
    return None if items is None else [e for e in items if not e["backfilled"]]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError, StopIteration) as fault:
        sys.stdout.write(f"{datetime.now(UTC).isoformat()} {fault}\n")
        sys.exit(0)
