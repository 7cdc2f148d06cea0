"""Health check: `healthy.py URL [COMPONENT]` succeeds if the address answers, and says of that
component that it is healthy."""

import json
import sys
import urllib.request

with urllib.request.urlopen(sys.argv[1], timeout=5) as answer:  # noqa: S310 - addresses of our own services
    body = answer.read()
if sys.argv[2:]:
    sys.exit(json.loads(body)[sys.argv[2]]["status"] != "healthy")
