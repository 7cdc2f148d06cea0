"""Charts of a report, an episode and a training: what they show as numbers, and how they look."""
