"""What concerns all collections of MongoDB: their documents, indexes, transactions and leases."""
