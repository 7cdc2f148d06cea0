"""Points of the curve of thresholds, as a training stores them."""


def curve_point(threshold, recall, rate, time=0.1, **changes):
    """Return a point. `recall`: of ten problems; `rate`: false alarms a week and asset."""
    counts = {"n_found": round(10 * recall), "n_events": 10, "n_episodes": 5, "n_assets": 2}
    return {
        "threshold": threshold,
        "event_recall": recall,
        "false_alarms_per_week": rate,
        "time_in_alarm": time,
        "episode_precision": 0.8,
        "within_budget": False,
        "chosen": False,
        **counts,
        **changes,
    }
