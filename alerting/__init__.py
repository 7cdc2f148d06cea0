"""Alerting for production lines."""

import os
import sys
from importlib.util import find_spec

# Threads that wait must sleep: on cores that others use too, threads that spin for each other take
# ten times the time. Said
# here because the library that reads it does so once, when the first of the learners is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# PyMongo loads 9 MB of cryptography before it finds that pyOpenSSL is not installed, and then uses
# Python's own `ssl`, which it does at once where this module cannot be imported.
if find_spec("OpenSSL") is None:
    sys.modules.setdefault("pymongo.pyopenssl_context", None)  # type: ignore[arg-type]
