"""What all tests need."""

import signal

from hypothesis import settings

# A shell starts background jobs with SIGINT ignored, and their children inherit that: commands
# that tests interrupt would not notice. Children of a process with a handler have the default.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A machine that others use, too, makes any single example late now and then.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")
