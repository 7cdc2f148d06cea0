"""The hand-over of shifts: its page, the list of earlier ones, and the API."""
