"""``python -m orchestration``: the command under the name of the package."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
