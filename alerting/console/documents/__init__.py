"""Documents that people write at the console: one API, list, page and editor for all kinds."""
