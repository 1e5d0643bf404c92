"""`python -m stack up|down|status|logs`."""

import sys

if __name__ == "__main__":
    if sys.platform == "win32":
        sys.exit("The platform runs on Linux and macOS; on Windows, take the Windows Subsystem for Linux.")
    from stack.cli import main

    main()
