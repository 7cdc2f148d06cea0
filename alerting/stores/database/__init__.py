"""Documents, indexes, transactions and leases of all collections of MongoDB."""
