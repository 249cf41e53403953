"""What calls run, and what their applications have said."""

from __future__ import annotations

from tests.calls.world import World, vxml
from vxml_server.store import CallEnd

EXIT = vxml("<form><block>Hello.<exit/></block></form>")
ASK = vxml(
    '<form><field name="pin" type="digits?length=2"><prompt>Your pin?</prompt>'
    "<filled><log>pin <value expr='pin'/></log><exit/></filled></field></form>"
)
GOODBYE = vxml(
    '<catch event="connection.disconnect"><log>gone</log></catch>'
    '<form><field name="pin" type="digits"><prompt>Your pin?</prompt></field></form>'
)
DISCONNECT = vxml("<form><block>Goodbye.<disconnect/></block></form>")


def transfer(type_: str, attributes: str = "") -> str:
    return vxml(
        f'<form><transfer name="t" type="{type_}" dest="sip:bob@far.test" {attributes}>'
        "<filled><log>t <value expr='t'/></log><exit/></filled>"
        '<catch event="connection.disconnect.hangup"><log>hangup</log><exit/></catch>'
        "</transfer></form>"
    )


def ending(end: CallEnd) -> tuple[str, str]:
    return end.end_reason, end.hung_up_by


def logged(world: World) -> list[str]:
    return [str(e.data["text"]) for e in world.store.events if e.name == "vxml.log"]
