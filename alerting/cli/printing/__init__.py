"""What commands print: sentences, tables, one JSON document."""
