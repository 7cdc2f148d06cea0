"""Pages of people: access, their own account, the audit."""
