"""Actions of operators: acknowledge, shelve, give feedback, follow links."""
