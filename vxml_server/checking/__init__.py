"""Checking documents and grammars before a caller meets them.

`check_paths` reads files as the interpreter does and finds what is wrong with them (`CODES` lists
what that may be); `FORMATS` write it down. Nothing is fetched and nothing of a document is run,
except its expressions in an engine of their own where they change nothing.
"""

from vxml_server.checking.checker import check_paths
from vxml_server.checking.findings import CODES, Code, Finding, Severity
from vxml_server.checking.formats import FORMATS

__all__ = ["CODES", "FORMATS", "Code", "Finding", "Severity", "check_paths"]
