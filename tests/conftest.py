import signal

import models

__all__ = ["models"]

# A job that a shell began in the background ignores Ctrl-C, and whatever it starts does too; tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)
