"""What operators do: acknowledge, shelve, give feedback, follow links."""
