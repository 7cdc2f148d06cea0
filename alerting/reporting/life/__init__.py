"""The life of a report: its periods, its revisions and their differences, its message."""
