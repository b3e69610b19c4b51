"""`python -m aleph` is `aleph`."""

from aleph.cli.app import main

if __name__ == "__main__":
    main()
