"""``python -m changecapture`` is ``changecapture``."""

import sys

from changecapture.cli import main

if __name__ == "__main__":
    sys.exit(main())
