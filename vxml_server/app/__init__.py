"""The composition root: settings become objects, which are started, drained and stopped.

The only place that knows all rooms.
"""

from vxml_server.app.exporting import export_recording
from vxml_server.app.prerendering import render_prompts
from vxml_server.app.server import Server
from vxml_server.app.serving import serve

__all__ = ["Server", "export_recording", "render_prompts", "serve"]
