"""Read files of readings, events and assets."""
