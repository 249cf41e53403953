"""The server's HTTP side: calls by REST, health, metrics, and the sample applications.

`WebServer` gets everything it shows through small protocols (`CallDirectory` for calls that are
running, `CallHistory` for those that are kept) and knows nothing of SIP, media or the interpreter.
"""

from vxml_server.web.protocols import CallDirectory, CallHistory, Centre, EventFeed
from vxml_server.web.server import WebServer, make_app

__all__ = ["CallDirectory", "CallHistory", "Centre", "EventFeed", "WebServer", "make_app"]
