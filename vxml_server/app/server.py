"""Everything a running server is made of, and the order in which it starts and stops.

It starts from the store outwards and takes calls last; it stops taking calls first and closes the
store last, so that whatever a call still has to say of itself finds its place.
"""

from __future__ import annotations

import asyncio
import importlib.util
import random
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import ModuleType
from zoneinfo import ZoneInfo

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry

from vxml_server import __version__
from vxml_server.app import agent_object, contact_centre, telephones, voicemail_object
from vxml_server.app.agent_object import AgentObject, calling_line
from vxml_server.app.engines import start_ears, start_voices
from vxml_server.app.errors import CannotStart
from vxml_server.app.metrics import ServerCollector
from vxml_server.app.voicemail_object import VoicemailObject, number_of
from vxml_server.asr import Recogniser
from vxml_server.calls import Exchange, Leg, Line, Resources, SoundCache, Spool
from vxml_server.clock import Clock
from vxml_server.fetch import Fetcher
from vxml_server.interpreter import Document, DocumentStore, GrammarStore, Limits, Objects
from vxml_server.media import MediaEngine
from vxml_server.queues import ContactCentre, Dialler, Summaries, Supervision
from vxml_server.recording import NOTICES, CannotRecord, Recordings
from vxml_server.settings import FetchSettings, Settings, destination
from vxml_server.sip import (
    Credentials,
    IncomingCall,
    OutgoingCall,
    Registrar,
    SessionDescription,
    Trunks,
    UserAgent,
    UserAgentSettings,
)
from vxml_server.store import CallRecord, Store
from vxml_server.tts import CachingSynthesizer, Voices, synthesizer
from vxml_server.voicemail import DOCUMENTS, Voicemail, make_voicemail
from vxml_server.web import WebServer, make_app

_log = structlog.get_logger(__name__)
# What a caller's equipment is told to wait before it tries again while we drain, in seconds.
RETRY_AFTER = 10


class Server:
    """A server made from settings. `start`, then `drain` or not, then `stop`."""

    def __init__(self, settings: Settings, clock: Clock, randomness: random.Random) -> None:
        self._settings = settings
        self._clock = clock
        self._random = randomness
        self._is_draining = False
        self._trunks = Trunks(())
        self._closing = AsyncExitStack()

    async def start(self) -> str:
        """Starts everything; returns the line that says where.

        Raises `CannotStart` or OSError (an address or the database cannot be had); then nothing is
        left running.
        """
        try:
            return await self._start()
        except BaseException:
            await self._closing.aclose()
            raise

    async def _start(self) -> str:
        settings, clock, closing = self._settings, self._clock, self._closing
        mounts = back_ends(settings.web.apps)
        self._loop = asyncio.get_running_loop()
        self._store = await Store.open(settings.store.url, clock, worker=settings.store.worker)
        closing.push_async_callback(self._store.close)
        self._spool = Spool(settings.record.spool, settings.store.worker, clock)
        closing.callback(self._spool.stop)
        self._spool.start()
        self._fetcher = Fetcher(self._fetching(), clock)
        closing.push_async_callback(self._fetcher.close)
        self._voices = await start_voices(settings.tts, clock)
        closing.push_async_callback(self._voices.close)
        self._synthesizer = synthesizer(self._voices, settings.tts, clock)
        closing.push_async_callback(self._synthesizer.close)
        self._recogniser = start_ears(settings.asr, clock, self._loop)
        if self._recogniser is not None:
            closing.push_async_callback(asyncio.to_thread, self._recogniser.close)
        self._engine = MediaEngine(
            address=settings.media.address,
            bind_address=settings.media.bind,
            ports=settings.media.ports,
            clock=clock,
            random=self._random,
            call_soon=self._loop.call_soon_threadsafe,
            mute_keys=settings.media.mute_keys,
        )
        self._centre = ContactCentre(
            self._store,
            clock,
            self._random,
            worker=settings.store.worker,
            zone=ZoneInfo(settings.queues.zone),
        )
        self._summaries = Summaries(self._store, clock, ZoneInfo(settings.queues.zone))
        self._recordings = self._make_recordings()
        await self._recordings.start()
        closing.push_async_callback(self._recordings.close)
        self._voicemail = self._make_voicemail()
        self._exchange = Exchange(
            resources=self._resources(),
            engine=self._engine,
            numbers=settings.numbers,
            random=self._random,
        )
        self._user_agent = UserAgent(
            clock=clock,
            random=self._random,
            handler=self._exchange,
            settings=self._sip_settings(),
        )
        self._registrar = telephones.registrar(settings, self._store, self._user_agent, clock)
        self._trunks = telephones.trunks(settings, self._user_agent, clock, self._random)
        self._web = WebServer(
            make_app(
                settings.web,
                directory=self._exchange,
                history=self._store,
                recordings=self._recordings,
                telephones=(self._registrar.location, self._trunks),
                orders=self._supervision,
                voicemail=self._voicemail,
                centre=self._centre,
                statistics=self._summaries,
                feed=self._store.feed,
                registry=self._registry(),
                is_draining=lambda: self._is_draining,
                clock=clock,
                mounts=mounts,
            ),
            settings.web.listen,
        )
        declared = contact_centre.definitions(settings.queues.definitions)
        closing.push_async_callback(self._centre.stop)
        await self._centre.start()
        await self._centre.declare(declared)
        closing.push_async_callback(self._voicemail.close)
        self._voicemail.start()
        closing.push_async_callback(self._supervision.stop)
        self._supervision.start()
        closing.push_async_callback(self._summaries.stop)
        self._summaries.start()
        self._engine.start()
        closing.callback(self._engine.stop)
        closing.push_async_callback(self._web.stop)
        web_address = await self._web.start()
        closing.push_async_callback(self._registrar.stop)
        await self._registrar.start()
        closing.push_async_callback(self._user_agent.stop)
        await self._user_agent.start([str(listen) for listen in settings.sip.listen])
        closing.push_async_callback(self._trunks.stop)
        self._trunks.start()
        return f"ready sip={','.join(self._user_agent.addresses)} web={web_address}"

    def _fetching(self) -> FetchSettings:
        """What may be fetched: what the settings say, and the documents that come with us."""
        return self._settings.fetching(contact_centre.DOCUMENTS, NOTICES, DOCUMENTS)

    def _make_recordings(self) -> Recordings:
        settings = self._settings
        try:
            return Recordings(
                settings.recording,
                store=self._store,
                worker=settings.store.worker,
                clock=self._clock,
                random=self._random,
                engine=self._engine,
                language=settings.voicexml.language,
            )
        except CannotRecord as error:
            raise CannotStart(str(error)) from error

    def _make_voicemail(self) -> Voicemail:
        settings = self._settings
        try:
            return make_voicemail(
                settings.voicemail,
                settings.mail,
                board=self._centre.board,
                store=self._store,
                archive=self._recordings.archive,
                clock=self._clock,
                random=self._random,
                allow=frozenset(settings.fetch.allow),
                language=settings.voicexml.language,
                zone=ZoneInfo(settings.queues.zone),
            )
        except OSError as error:
            raise CannotStart(f"mail: ca: {settings.mail.ca}: {error}") from error

    def _sip_settings(self) -> UserAgentSettings:
        sip = self._settings.sip
        return UserAgentSettings(
            trusted=tuple(str(network) for network in sip.trusted),
            users={name: secret.get_secret_value() for name, secret in sip.users.items()},
            realm=sip.realm,
            algorithms=sip.algorithms,
            product=f"vxml-server/{__version__}",
        )

    def _resources(self) -> Resources:
        settings = self._settings
        line = Line(
            engine=self._engine,
            clock=self._clock,
            invite=self._invite,
            destination=lambda dest: destination(settings.dial, dest),
            credentials=self._credentials,
            session_id=lambda: self._random.getrandbits(62),
        )
        self._supervision = Supervision(
            *(self._centre, self._store, self._clock, self._random),
            ring=Dialler(line, self._contacts).ring,
            tell=self._store.append,
        )
        return Resources(
            clock=self._clock,
            line=line,
            fetcher=self._fetcher,
            synthesizer=self._synthesizer,
            sounds=SoundCache(
                settings.tts.cache_bytes,
                lufs=settings.tts.loudness if settings.tts.level_audio else None,
            ),
            documents=DocumentStore(
                strict=settings.voicexml.strict, on_tolerated=_log_what_was_tolerated
            ),
            grammars=GrammarStore(),
            store=self._store,
            language=settings.voicexml.language,
            properties=dict(settings.voicexml.properties),
            limits=Limits(
                script_memory=settings.script.memory_bytes,
                script_seconds=settings.script.seconds,
                steps=settings.voicexml.max_transitions,
            ),
            spool=self._spool,
            recogniser=self._recogniser,
            records=self._recordings.recorder.for_call,
            destinations=contact_centre.destinations(
                *(self._centre, self._engine, self._clock, line),
                contacts=self._contacts,
                tell=self._store.append,
                language=settings.voicexml.language,
                voicemail=self._voicemail,
            ),
            objects=self._objects,
        )

    def _invite(
        self,
        target: str,
        offer: SessionDescription,
        leg: Leg,
        headers: Mapping[str, str],
        credentials: Credentials | None,
    ) -> OutgoingCall:
        trunk = self._trunks.of(target)
        return self._user_agent.invite(
            target,
            from_=self._settings.dial.caller if trunk is None else trunk.caller,
            offer=offer,
            listener=leg,
            headers=headers,
            credentials=credentials,
        )

    def _objects(self, call: IncomingCall, record: CallRecord) -> Objects:
        """What the `<object>`s of a call's documents may be."""
        line = calling_line(call, self._registrar.location.user_at)
        return {
            agent_object.CLASSID: AgentObject(self._centre, line),
            voicemail_object.CLASSID: VoicemailObject(
                *(self._voicemail, self._centre.board, self._clock),
                ZoneInfo(self._settings.queues.zone),
                call_id=record.id,
                caller=number_of(record.from_uri),
                line=line,
            ),
        }

    def _contacts(self, user: str) -> Sequence[str]:
        return self._registrar.location.contacts(user)

    def _credentials(self, target: str) -> Credentials | None:
        """What to answer the digest challenge of `target`'s host with."""
        found = self._settings.dial.credentials.get(host_of(target))
        if found is None:
            trunk = self._trunks.of(target)
            return None if trunk is None else trunk.credentials
        return Credentials(found.user, found.password.get_secret_value())

    def _registry(self) -> CollectorRegistry:
        registry = CollectorRegistry()
        registry.register(ServerCollector(self))
        return registry

    # What metrics look at ----------------------------------------------------------------------

    @property
    def exchange(self) -> Exchange:
        return self._exchange

    @property
    def engine(self) -> MediaEngine:
        return self._engine

    @property
    def user_agent(self) -> UserAgent:
        return self._user_agent

    @property
    def registrar(self) -> Registrar:
        return self._registrar

    @property
    def trunks(self) -> Trunks:
        return self._trunks

    @property
    def centre(self) -> ContactCentre:
        return self._centre

    @property
    def summaries(self) -> Summaries:
        return self._summaries

    @property
    def voicemail(self) -> Voicemail:
        return self._voicemail

    @property
    def store(self) -> Store:
        return self._store

    @property
    def synthesizer(self) -> CachingSynthesizer:
        return self._synthesizer

    @property
    def voices(self) -> Voices:
        return self._voices

    @property
    def recogniser(self) -> Recogniser | None:
        return self._recogniser

    @property
    def tasks(self) -> int:
        return len(asyncio.all_tasks(self._loop))

    # The end -----------------------------------------------------------------------------------

    async def drain(self) -> None:
        """Takes no new call (503 with Retry-After); returns when the last one has ended."""
        self._is_draining = True
        self._user_agent.drain(RETRY_AFTER)
        self._web.drain()
        _log.info("draining", calls=len(self._exchange.active()))
        await self._exchange.drained()

    async def stop(self) -> None:
        """Ends what is still running and closes everything."""
        self._user_agent.drain(RETRY_AFTER)
        await self._exchange.hang_up_all()
        await self._closing.aclose()


def _log_what_was_tolerated(document: Document) -> None:
    """For the author: once a document, not once a call."""
    for found in document.tolerated:
        _log.warning(found.message, uri=document.uri, line=found.line, code=found.code)


def host_of(uri: str) -> str:
    """The host of a SIP URI as `settings.destination` makes it, in lower case."""
    place = uri.partition(":")[2].rpartition("@")[2].partition(";")[0]
    if place.startswith("["):
        return place[1:].partition("]")[0].lower()
    return place.partition(":")[0].lower()


def back_ends(folder: Path | None) -> dict[str, web.Application]:
    """The applications with code: `<folder>/<name>/backend.py` answers below /apps/<name>/api.

    Each has a function `application()`. They are the operator's own code, run in this process.
    Raises `CannotStart` when one cannot be used.
    """
    if folder is None or not folder.is_dir():
        return {}
    found = {}
    for path in sorted(folder.glob("*/backend.py")):
        try:
            application = _load(path).application()
        except Exception as error:
            raise CannotStart(f"{path}: {type(error).__name__}: {error}") from error
        if not isinstance(application, web.Application):
            raise CannotStart(f"{path}: application() returned {application!r}")
        found[f"/apps/{path.parent.name}/api"] = application
    return found


def _load(path: Path) -> ModuleType:
    name = f"apps_{path.parent.name}_backend"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up there while it is loaded.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
