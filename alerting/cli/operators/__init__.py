"""Commands of operators and administrators: shelves, people, tokens, the audit."""
