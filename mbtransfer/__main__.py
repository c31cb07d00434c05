"""`python -m mbtransfer` is `mbtransfer`."""

import sys

from mbtransfer.cli import main

if __name__ == "__main__":
    sys.exit(main())
