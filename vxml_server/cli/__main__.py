"""`python -m vxml_server.cli`."""

from vxml_server.cli import main

if __name__ == "__main__":
    main()
