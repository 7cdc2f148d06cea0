"""Time stamps in files: formats, local time, instants."""
