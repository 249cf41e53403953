"""The survey's back end: keeps the answers in memory, and answers with a page that returns a value.

`POST answers` takes the form fields `rating`, `visits`, `recommend` and `reason`, and answers a
VoiceXML page that returns `number`, the count of answers so far. `GET answers` gives them as JSON.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import asdict, dataclass, field

from aiohttp import web
from lxml import etree

NAMESPACE = "http://www.w3.org/2001/vxml"
MAX_KEPT = 1000
"""Answers kept; older ones are forgotten, so that memory stays bounded."""

RULES = {
    "rating": "[1-5]",
    "visits": "[0-9]{1,3}",
    "recommend": "true|false|skipped",
    "reason": "waiting|welcome|price|other|skipped",
}
"""Form field -> the regular expression that its value must match."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one caller answered."""

    rating: int
    visits: int
    recommend: str
    reason: str


@dataclass(slots=True)
class Survey:
    """The answers so far, and the requests about them."""

    kept: deque[Answer] = field(default_factory=lambda: deque(maxlen=MAX_KEPT))
    count: int = 0

    async def add(self, request: web.Request) -> web.Response:
        """`POST answers`. 400 for what the pages never send."""
        form = await request.post()
        values = {name: str(form.get(name, "")) for name in RULES}
        for name, rule in RULES.items():
            if re.fullmatch(rule, values[name]) is None:
                raise web.HTTPBadRequest(text=f"expected {name} to be {rule}\n")
        self.kept.append(
            Answer(
                rating=int(values["rating"]),
                visits=int(values["visits"]),
                recommend=values["recommend"],
                reason=values["reason"],
            )
        )
        self.count += 1
        return web.Response(
            body=_returning("number", self.count),
            content_type="application/voicexml+xml",
            headers={"Cache-Control": "no-store"},
        )

    async def list(self, request: web.Request) -> web.Response:
        """`GET answers`: an array of objects, the oldest first."""
        return web.json_response([asdict(answer) for answer in self.kept])


def application() -> web.Application:
    """The back end without answers, to be mounted at `/apps/survey/api/`."""
    survey = Survey()
    app = web.Application()
    app.add_routes([web.post("/answers", survey.add), web.get("/answers", survey.list)])
    return app


def _returning(name: str, value: int) -> bytes:
    """A page that does nothing but return `value` to the subdialog that called it."""
    page = etree.fromstring(f'<vxml xmlns="{NAMESPACE}" version="2.1"><form/></vxml>')
    form = page[0]
    etree.SubElement(form, f"{{{NAMESPACE}}}var", name=name, expr=str(value))
    block = etree.SubElement(form, f"{{{NAMESPACE}}}block")
    etree.SubElement(block, f"{{{NAMESPACE}}}return", namelist=name)
    return etree.tostring(page, xml_declaration=True, encoding="UTF-8")
