"""`python -m tvault` is the command line."""

from tvault.cli.main import main

if __name__ == "__main__":
    main()
