"""Where the command begins: ``parallel-orchestrate``, and ``python -m orchestration``.

While the rest is loaded, Ctrl-C ends the process silently, as it ends any program that has not
begun. So this module is for the command alone: whoever imports it changes what Ctrl-C does.
"""

import signal
import sys

_is_pythons = signal.getsignal(signal.SIGINT) is signal.default_int_handler
if _is_pythons:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from . import cli  # noqa: E402 - this is what takes its time


def main() -> int:
    """Runs the command and returns its exit code."""
    if _is_pythons:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
