"""Output of commands: sentences, tables, one JSON document."""
