"""Episodes, feedback, shelves and the audit log in MongoDB."""
