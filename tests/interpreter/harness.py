"""Dialogues in one line: documents in memory, a scripted caller, and what came of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import FetchRequest, Resource, media_type_of, resolve_uri, split_fragment
from vxml_server.interpreter.dialogue import DialogueResult, run_dialogue
from vxml_server.interpreter.platform import Json
from vxml_server.interpreter.script import parse_script

HOME = "http://test/"
MAIN = HOME + "main.vxml"


@dataclass(frozen=True)
class Moved:
    """A page that is found elsewhere."""

    to: str


Page = str | bytes | Moved | VoiceXmlEvent
"""What a server answers; an event is raised."""


@dataclass
class Web:
    """A fetcher of pages in memory, by their URI (those of `HOME` by their name).

    It keeps the requests. What it does not have is a 404, as with a server.
    """

    pages: Mapping[str, Page]
    requests: list[FetchRequest] = field(default_factory=list)

    async def fetch(self, request: FetchRequest) -> Resource:
        self.requests.append(request)
        uri, _ = split_fragment(request.uri)
        page = self.page(uri)
        while isinstance(page, Moved):
            uri = resolve_uri(uri, page.to)
            page = self.page(uri)
        if page is None:
            raise VoiceXmlEvent("error.badfetch.http.404", "Not Found", uri=uri)
        if isinstance(page, VoiceXmlEvent):
            raise page
        body = page.encode() if isinstance(page, str) else page
        digest = hashlib.sha256(body).hexdigest()
        return Resource(uri, 200, media_type_of(uri), "", body, digest=digest)

    def page(self, uri: str) -> Page | None:
        """What is at this URI."""
        return self.pages.get(uri, self.pages.get(uri.removeprefix(HOME)))

    @property
    def fetched(self) -> list[str]:
        """The names of the pages that were asked for, in order."""
        return [request.uri.removeprefix(HOME) for request in self.requests]


def vxml(content: str, attributes: str = "") -> str:
    """A document with this content."""
    namespaces = 'xmlns="http://www.w3.org/2001/vxml" xml:lang="en"'
    return f'<vxml version="2.1" {namespaces} {attributes}>{content}</vxml>'


def yes(scope: str = "", word: str = "yes", kind: str = "voice") -> str:
    """A grammar of one word, or of one key."""
    attributes = f' scope="{scope}"' if scope else ""
    return (
        f'<grammar version="1.0" mode="{kind}" root="r"{attributes}>'
        f'<rule id="r">{word}</rule></grammar>'
    )


def field(content: str = "", name: str = "f") -> str:
    """A field that takes "yes"."""
    return f'<field name="{name}">{yes()}<prompt>Well?</prompt>{content}</field>'


def slots(*names: str) -> str:
    """A grammar of `a one`, `b one` and any sequence of these: it fills the slots named."""
    items = "".join(
        f'<item>{name}<item repeat="0-1">one</item><tag>out.{name} = "1"</tag></item>'
        for name in names
    )
    return (
        '<grammar version="1.0" root="r" tag-format="semantics/1.0">'
        f'<rule id="r"><item repeat="1-"><one-of>{items}</one-of></item></rule></grammar>'
    )


async def call(
    pages: str | Mapping[str, Page] | Web,
    *steps: str,
    session: str = "{}",
    variables: Mapping[str, Json] | None = None,
    lang: str = "en",
) -> DialogueResult:
    """Calls `main.vxml` with the steps of a script.

    `pages` may be the content of that one document, all pages by their names, or a `Web`.
    """
    if isinstance(pages, str):
        pages = {"main.vxml": vxml(pages)}
    web = pages if isinstance(pages, Web) else Web(pages)
    lines = "".join(f"- {step}\n" for step in steps)
    script = parse_script(f"session: {session}\nsteps:\n{lines}")
    return await run_dialogue(MAIN, script, web, variables=variables, default_lang=lang)


def heard(result: DialogueResult) -> list[str]:
    """The prompts in order."""
    return [str(record["text"]) for record in result.records if record["event"] == "prompt"]


def thrown(result: DialogueResult) -> list[str]:
    """The names of the events in order."""
    return [str(record["name"]) for record in result.records if record["event"] == "throw"]


def records(result: DialogueResult, kind: str) -> list[dict[str, Json]]:
    """The records of a kind, without their time and kind."""
    return [
        {key: value for key, value in record.items() if key not in {"t", "event"}}
        for record in result.records
        if record["event"] == kind
    ]
