"""`python -m edgetrain` is the command `edgetrain`."""

from edgetrain.cli import main

if __name__ == "__main__":
    main()
