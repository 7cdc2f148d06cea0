"""Episodes, feedback, mutes and the audit log in MongoDB."""
