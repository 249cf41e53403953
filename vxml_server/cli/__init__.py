"""The command line: `vxml-server` and what can be asked of it.

Each command reads its arguments and calls one function; whatever is slow is imported then.
"""

from vxml_server.cli.commands import app, main

__all__ = ["app", "main"]
