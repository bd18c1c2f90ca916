"""``python -m guetzpy``."""

from guetzpy.cli import main

if __name__ == "__main__":
    main()
