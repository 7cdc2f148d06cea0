"""The editor of documents as form and as YAML, and what it says of a change."""
