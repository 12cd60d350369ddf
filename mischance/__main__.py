"""`python -m mischance` is the command line."""

from mischance.cli.commands import main

if __name__ == "__main__":  # worker processes import this file too
    main()
