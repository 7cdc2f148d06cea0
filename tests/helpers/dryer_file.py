"""Two weeks of a dryer as a European CSV, with an alert on its limit and a model of it."""

import random
from datetime import UTC, datetime, timedelta

DAYS = 14
LIMIT = {
    "name": "product-too-wet",
    "kind": "threshold",
    "assets": ["dryer-1"],
    "variable": "product_moisture",
    "above": 13,
}
MODEL = {
    "name": "product-will-be-wet",
    "kind": "classifier",
    "assets": ["dryer-1"],
    "problem": {"variable": "product_moisture", "above": 13},
    "horizon": "30m",
    "learning": {"trials": 1, "folds": 2, "candidates": ["logistic_regression"]},
    "promotion": {"mode": "approval"},
}


def dryer_file() -> bytes:
    """Return a CSV of a dryer until now, a row every five minutes; wet loads arrive now and then,
    and the product is wet half an hour later."""
    draw = random.Random(1)
    feed = moisture = 12.0
    wet_until = -1
    steps = DAYS * 288
    last = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    lines = ["time;feed_moisture [%];product_moisture [%]"]
    for step in range(steps):
        if draw.random() < 1 / 100:
            wet_until = step + draw.randint(8, 36)
        feed += 0.3 * ((18 if step < wet_until else 12) - feed) + draw.gauss(0, 0.4)
        moisture += 0.08 * (feed - 2 - moisture) + draw.gauss(0, 0.06)
        stamp = last - timedelta(minutes=5 * (steps - 1 - step))
        lines.append(f"{stamp.isoformat()};{feed:.2f};{moisture:.2f}".replace(".", ","))
    return "\n".join(lines).encode()
