import sys

from transferhub.cli import main

if __name__ == "__main__":
    sys.exit(main())
