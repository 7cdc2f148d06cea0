"""`alerting import`: its commands, their options, and what they print."""
