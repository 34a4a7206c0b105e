"""What all tests need."""

import signal

# A shell starts background jobs with SIGINT ignored, and their children inherit that: commands
# that tests interrupt would not notice. Children of a process with a handler have the default.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
