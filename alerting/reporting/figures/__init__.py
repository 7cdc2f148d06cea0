"""Charts as text: of the report page, of an episode and of a training."""
