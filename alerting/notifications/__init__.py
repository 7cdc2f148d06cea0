"""Recipients, times and stages of notifications."""
