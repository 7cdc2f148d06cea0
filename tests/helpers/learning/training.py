"""A line with a problem that a model can learn."""

import numpy as np

MINUTES = 6 * 24 * 60


EVERY = 5


def moisture_after_humidity(seed=1):
    """Return minutes, humidity and moisture: the humidity rises occasionally, moisture leaves its
    limit 20 to 60 min later."""
    random = np.random.default_rng(seed)
    minutes = np.arange(0, MINUTES, EVERY)
    humidity = 40 + random.normal(0, 1, len(minutes))
    moisture = 3.5 + random.normal(0, 0.1, len(minutes))
    for start in range(150, MINUTES - 200, 190):
        rise = (minutes >= start) & (minutes < start + 60)
        humidity[rise] += 15
        late = (minutes >= start + 30) & (minutes < start + 75)
        moisture[late] += 1.6
    return minutes, humidity, moisture
