"""Health check: `recent.py FILE SECONDS` succeeds if the file was touched within that time."""

import sys
import time
from pathlib import Path

sys.exit(time.time() - Path(sys.argv[1]).stat().st_mtime > float(sys.argv[2]))
