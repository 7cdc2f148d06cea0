"""Alerting for production lines."""

import os

# Threads that wait must sleep: on cores that others use too, threads that spin for each other take
# ten times the time. Said
# here because the library that reads it does so once, when the first of the learners is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
