"""Performance reports: made for a period, revised after late answers and data, announced to their
recipients."""
