"""One call as the interpreter sees it: from the first document to the end.

The session owns what all its execution contexts share: the platform, the ECMAScript engine, the
prompt queue (section 4.1.8), whether the caller is still there, and the count of steps that stops a
document which runs for ever without listening. How it ended is an `Outcome`; nothing a document
does comes out of `run` as an exception.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from vxml_server import catalogue
from vxml_server.ecmascript import Engine
from vxml_server.events import VoiceXmlEvent, matches
from vxml_server.fetch import FetchRequest, Resource, ResourceFetcher, resolve_uri
from vxml_server.interpreter.compiler import compile_document
from vxml_server.interpreter.context import ExecutionContext
from vxml_server.interpreter.document import Document
from vxml_server.interpreter.flow import Exit
from vxml_server.interpreter.grammars import GrammarStore
from vxml_server.interpreter.objects import Objects
from vxml_server.interpreter.platform import (
    ActiveGrammar,
    InputKind,
    InputProperties,
    InputResult,
    Json,
    ListenRequest,
    Platform,
    Prompt,
    RecordRequest,
    RecordResult,
    SpeechSegment,
    TransferRequest,
    TransferResult,
    Waiting,
)
from vxml_server.interpreter.properties import TRACE, Properties, defaults
from vxml_server.interpreter.recordings import Recordings
from vxml_server.interpreter.trace import Observer, ignore
from vxml_server.interpreter.version1 import session_variables

Reason = Literal["exit", "disconnect", "hangup", "error"]
HANGUP = "connection.disconnect.hangup"
TRANSFERRED = "connection.disconnect.transfer"
# Above this many bytes a document is compiled beside the event loop instead of on it.
COMPILE_ASIDE = 64 * 1024
# How many steps go by before other calls get a turn.
STEPS_A_TURN = 50


@dataclass(frozen=True, slots=True)
class Redirection:
    """A number that the call was sent on from: presentation restricted (`pi`), screening, why."""

    uri: str
    pi: bool = False
    si: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """What is known of the call: `session.connection` (section 5.1.4)."""

    local_uri: str = ""
    remote_uri: str = ""
    aai: str | None = None
    originator: Literal["local", "remote"] = "remote"
    protocol_name: str = ""
    protocol_version: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    redirect: tuple[Redirection, ...] | None = None

    def as_json(self) -> dict[str, Json]:
        return {
            "local": {"uri": self.local_uri},
            "remote": {"uri": self.remote_uri},
            "protocol": {
                "name": self.protocol_name,
                "version": self.protocol_version,
                self.protocol_name or "sip": {"headers": dict(self.headers)},
            },
            "redirect": None if self.redirect is None else [asdict(r) for r in self.redirect],
            "aai": self.aai,
        }


@dataclass(frozen=True, slots=True)
class Limits:
    """What one session may use: engine memory (bytes), seconds a script, steps without input."""

    script_memory: int = 16 * 1024 * 1024
    script_seconds: float = 0.5
    steps: int = 2000


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a session ended.

    `value` is what `<exit>` or `<disconnect>` returned; `error` names the uncaught event when
    `reason` is `error`, `message` says what it was about.
    """

    reason: Reason
    value: Json = None
    error: str = ""
    message: str = ""


class DocumentStore:
    """Compiled documents, shared by all calls: by where they came from and their bytes.

    Unless `strict`, what authors write beside the recommendation is accepted (see `lenient`);
    `on_tolerated` is told of each such document once, when it is compiled.
    """

    def __init__(
        self,
        capacity: int = 500,
        *,
        strict: bool = False,
        on_tolerated: Callable[[Document], None] = lambda document: None,
    ) -> None:
        self.strict = strict
        self._on_tolerated = on_tolerated
        self._capacity = capacity
        self._documents: OrderedDict[tuple[str, str], Document] = OrderedDict()

    async def compile(self, resource: Resource) -> Document:
        key = (resource.uri, resource.digest)
        document = self._documents.get(key)
        if document is None:
            if len(resource.body) > COMPILE_ASIDE:
                document = await asyncio.to_thread(
                    compile_document, resource.body, resource.uri, strict=self.strict
                )
            else:
                document = compile_document(resource.body, resource.uri, strict=self.strict)
            if document.tolerated:
                self._on_tolerated(document)
            self._documents[key] = document
            if len(self._documents) > self._capacity:
                self._documents.popitem(last=False)
        self._documents.move_to_end(key)
        return document


class Session:
    """Interprets one call. Make one, `run` it once."""

    def __init__(
        self,
        platform: Platform,
        fetcher: ResourceFetcher,
        *,
        connection: Connection | None = None,
        observer: Observer = ignore,
        variables: Mapping[str, Json] | None = None,
        default_lang: str = catalogue.FALLBACK,
        default_properties: Mapping[str, str] | None = None,
        documents: DocumentStore | None = None,
        grammars: GrammarStore | None = None,
        limits: Limits | None = None,
        objects: Objects | None = None,
        trace: bool = False,
        prefetch: Callable[[Iterable[FetchRequest]], None] | None = None,
    ) -> None:
        self.platform = platform
        self.observe = observer
        self.default_lang = default_lang
        self.default_properties = defaults(default_properties or {})
        self.grammars = grammars or GrammarStore()
        self.objects: Objects = objects or {}
        self.prefetch = prefetch
        self._always_traces = trace
        self.is_traced = trace
        """Whether `step` records are wanted where the session is now."""
        self._documents = documents or DocumentStore()
        self._remarked_on: set[Document] = set()
        self._fetcher = fetcher
        self._limits = limits or Limits()
        self._prompts: list[Prompt] = []
        self._steps = 0
        self._ended_by: Literal["", "hangup", "disconnect"] = ""
        self._returned: Json = None
        self.engine = Engine(
            memory_limit=self._limits.script_memory, time_limit=self._limits.script_seconds
        )
        self.recordings = Recordings(self.engine)
        self.variables = self.engine.new_scope()
        called = connection or Connection()
        if not self._documents.strict:
            old = session_variables(called.remote_uri, called.local_uri, called.aai)
            for name, value in old.items():
                self.engine.set_json(self.variables, name, value)
        for name, given in (variables or {}).items():
            self.engine.set_json(self.variables, name, given)
        described = self.engine.from_json(called.as_json())
        self.engine.copy(described, called.originator, described, "originator")
        self.engine.set(self.variables, "connection", described)
        self.engine.freeze(self.variables)

    async def run(self, uri: str) -> Outcome:
        """Runs the application that starts at `uri` (absolute, or a path) to its end."""
        value: Json = None
        event: VoiceXmlEvent | None = None
        context = ExecutionContext(self)
        try:
            place = await context.find(uri, FetchRequest(resolve_uri("", uri)))
            await self.platform.answer()
            await context.run(place)
        except Exit as exit_:
            value, event = exit_.value, exit_.event
        except VoiceXmlEvent as thrown:
            event = self.give_up(thrown).event
            await self.platform.answer()
        if not self.platform.hung_up:
            try:
                await self.platform.play(self.take_prompts())
            except VoiceXmlEvent as failed:
                # No dialog is left to handle it; what was returned is returned all the same.
                event = event or failed
        outcome = self._outcome(self._returned if value is None else value, event)
        self.observe(
            "end",
            {
                "reason": outcome.reason,
                "value": outcome.value,
                "error": outcome.error or None,
                "message": outcome.message or None,
            },
        )
        return outcome

    def give_up(self, event: VoiceXmlEvent) -> Exit:
        """The end by an event that there is no dialog to handle; the caller is told."""
        self.observe(
            "throw",
            {
                "name": event.name,
                "message": event.message,
                "line": event.line,
                "handled_by": "default",
            },
        )
        self.queue_message("caller.error")
        return Exit(event=event)

    def _outcome(self, value: Json, event: VoiceXmlEvent | None) -> Outcome:
        if event is not None and matches("error", event.name):
            place = f"{event.uri}:{event.line}: " if event.line else ""
            return Outcome("error", value, event.name, place + event.message)
        if self._ended_by:
            return Outcome(self._ended_by, value)
        return Outcome("hangup" if self.platform.hung_up else "exit", value)

    # The prompt queue --------------------------------------------------------------------------

    def queue(self, prompt: Prompt) -> None:
        self._prompts.append(prompt)

    def queue_message(self, key: str) -> None:
        """Queues a sentence of the platform's own, in its language."""
        text = catalogue.message(key, self.default_lang)
        ssml = f'<speak version="1.0" xml:lang="{self.default_lang}">{text}</speak>'
        segment = SpeechSegment(ssml=ssml, text=text, lang=self.default_lang)
        self.queue(Prompt(segments=(segment,), lang=self.default_lang))

    def take_prompts(self) -> tuple[Prompt, ...]:
        taken, self._prompts = tuple(self._prompts), []
        return taken

    # The caller --------------------------------------------------------------------------------

    async def listen(
        self, grammars: tuple[ActiveGrammar, ...], properties: InputProperties, lang: str
    ) -> InputResult:
        """Plays what is queued and waits for input.

        After the caller has gone there is nobody to wait for: the session ends (section 1.5.4).
        """
        self._leave_if_gone()
        self._rest()
        prompts = self.take_prompts()
        properties = _after(prompts, properties)
        result = await self.platform.listen(ListenRequest(prompts, grammars, properties, lang))
        if result.kind is InputKind.HANGUP:
            self.check_hangup()
        return result

    async def record(self, request: RecordRequest) -> RecordResult:
        """Plays what is queued and records the caller."""
        self._leave_if_gone()
        self._rest()
        prompts = self.take_prompts()
        properties = _after(prompts, request.properties)
        return await self.platform.record(replace(request, prompts=prompts, properties=properties))

    async def transfer(self, request: TransferRequest) -> TransferResult:
        """Plays what is queued and connects the caller."""
        self._leave_if_gone()
        self._rest()
        result = await self.platform.transfer(replace(request, prompts=self.take_prompts()))
        if result.outcome == HANGUP:
            self._ended_by = "hangup"
        elif result.outcome == TRANSFERRED:
            self._ended_by = "disconnect"
        return result

    async def disconnect(self, values: dict[str, Json]) -> None:
        """`<disconnect>` (section 5.3.11): plays what is queued, hangs up, raises the event.

        Where nobody is connected any more it ends the session, for the event comes once.
        """
        self._leave_if_gone()
        await self.platform.play(self.take_prompts())
        self.check_hangup()
        await self.platform.disconnect(values)
        self._ended_by, self._returned = "disconnect", values or None
        raise VoiceXmlEvent(HANGUP, "the application has disconnected")

    def check_hangup(self) -> None:
        """Raises `connection.disconnect.hangup`, once, when the caller has gone."""
        if self.platform.hung_up and not self._ended_by:
            self._ended_by = "hangup"
            raise VoiceXmlEvent(HANGUP, "the caller has hung up")

    def _leave_if_gone(self) -> None:
        self.check_hangup()
        if self._ended_by:
            raise Exit

    # Work --------------------------------------------------------------------------------------

    def _rest(self) -> None:
        """The session is about to wait for somebody: what bounds its work begins anew."""
        self._steps = 0
        self.engine.rest()

    async def step(self) -> None:
        """Counts one iteration of the form interpretation algorithm, and lets others run."""
        self._steps += 1
        if self._steps > self._limits.steps:
            message = f"the application took {self._limits.steps} steps without listening"
            raise self.give_up(VoiceXmlEvent("error.semantic", message))
        if self._steps % STEPS_A_TURN == 0:
            await asyncio.sleep(0)

    def trace_dialog(self, properties: Properties) -> None:
        """Traces the dialog that begins, if whoever runs the session or its document wants it."""
        self.is_traced = self._always_traces or properties.flag(TRACE)

    async def fetch(self, request: FetchRequest, waiting: Waiting | None = None) -> Resource:
        """Fetches, with the audio that the document wants for the time until it is there."""
        if waiting is None or self.platform.hung_up:
            return await self._fetch(request)
        fetching = asyncio.ensure_future(self._fetch(request))
        try:
            await self.platform.play(self.take_prompts())
            await self.platform.play_while(waiting, fetching)
            return await fetching
        finally:
            fetching.cancel()
            await asyncio.gather(fetching, return_exceptions=True)

    async def _fetch(self, request: FetchRequest) -> Resource:
        """Fetches for a document, and tells the observer.

        What cannot be fetched has no lines: the event's place is left to who asked for it.
        """
        record: dict[str, Json] = {"uri": request.uri, "method": request.method}
        try:
            resource = await self._fetcher.fetch(request)
        except VoiceXmlEvent as event:
            status = event.name.removeprefix("error.badfetch.http.")
            self.observe(
                "fetch",
                record | {"status": int(status) if status.isdigit() else 0, "cached": False},
            )
            raise VoiceXmlEvent(
                event.name, f"{event.uri or request.uri}: {event.message}"
            ) from None
        self.observe("fetch", record | {"status": resource.status, "cached": resource.cached})
        return resource

    async def compile(self, resource: Resource) -> Document:
        """The document in a resource; the observer is told once what was tolerated in it."""
        document = await self._documents.compile(resource)
        if document not in self._remarked_on:
            self._remarked_on.add(document)
            for found in document.tolerated:
                self.observe(
                    "warning",
                    {
                        "uri": document.uri,
                        "line": found.line,
                        "code": found.code,
                        "message": found.message,
                    },
                )
        return document


def _after(prompts: Sequence[Prompt], properties: InputProperties) -> InputProperties:
    """The properties with the timeout of the last prompt that has one (section 4.1.7)."""
    timeouts = [prompt.timeout for prompt in prompts if prompt.timeout is not None]
    if not timeouts or timeouts[-1] == properties.timeout:
        return properties
    return properties.with_timeout(timeouts[-1])
