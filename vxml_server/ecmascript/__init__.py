"""ECMAScript on quickjs-ng: one engine a session, bounded in memory and time."""

from vxml_server.ecmascript.engine import Engine, Object, declared_names

__all__ = ["Engine", "Object", "declared_names"]
