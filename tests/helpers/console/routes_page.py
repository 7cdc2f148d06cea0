"""Routes for tests of their page."""

NIGHT = {
    "name": "ovens-at-night",
    "match": {"severity": ["high", "critical"], "assets": ["oven-*"], "tags": ["line-3"]},
    "channels": ["shift"],
    "timezone": "Europe/Berlin",
    "shifts": [{"days": ["mon", "tue", "wed", "thu", "fri"], "from": "22:00", "to": "06:00"}],
    "quiet": [{"days": ["sun"], "from": "00:00", "to": "00:00"}],
    "repeat": "30m",
    "escalation": [{"after": "15m", "channels": ["chief"]}],
    "flood": {"more_than": 5, "within": "10m"},
    "heartbeat": "24h",
    "language": "en",
    "platform": True,
    "acknowledge_by_link": True,
}
