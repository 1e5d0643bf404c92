"""`python -m postroom`: topics and dead letters, from the command line."""

from postroom.cli import main

if __name__ == "__main__":
    main()
