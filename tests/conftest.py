"""What holds for every test."""

import signal

# A build that runs in the background of a shell is started with Ctrl-C ignored, and every process would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
