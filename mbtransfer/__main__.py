"""Entry point of `python -m mbtransfer`."""

import sys

from mbtransfer.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
