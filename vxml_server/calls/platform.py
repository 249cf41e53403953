"""The interpreter's platform on a real leg.

The call is answered when its application is there: until then the caller hears ringing, so that
one that loads slowly is not answered by silence. What has rules of its own is elsewhere: waits for
input in `listening`, recordings, transfers. One of them at a time reads the leg's mailbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from vxml_server.calls.fetch_audio import FetchAudio
from vxml_server.calls.leg import Leg
from vxml_server.calls.listening import Wait
from vxml_server.calls.mailbox import KeyPressed, Played
from vxml_server.calls.player import Player
from vxml_server.calls.recording import Recording
from vxml_server.calls.rendering import PromptRenderer
from vxml_server.calls.spool import CallSpool
from vxml_server.calls.transfer import HANGUP, TRANSFERRED
from vxml_server.calls.voice import Ear
from vxml_server.clock import Clock
from vxml_server.fetch import Resource
from vxml_server.interpreter import (
    InputKind,
    InputResult,
    Json,
    ListenRequest,
    Observer,
    Prompt,
    RecordEnding,
    RecordRequest,
    RecordResult,
    TransferRequest,
    TransferResult,
    Waiting,
)

# Silence after the last prompt before we hang up: what the far end still holds in its jitter
# buffer is heard before the BYE ends everything.
LINGER = 0.2

Answer = Callable[[], None]
TransferFunction = Callable[[TransferRequest], Awaitable[TransferResult]]


class CallPlatform:
    """`Platform` on a leg.

    `answer` sends the 200; `transfer` connects the caller elsewhere; `spool` keeps recordings, and
    `ear` hears voice.
    """

    def __init__(
        self,
        leg: Leg,
        *,
        clock: Clock,
        renderer: PromptRenderer,
        observer: Observer,
        answer: Answer,
        transfer: TransferFunction,
        spool: CallSpool,
        ear: Ear,
    ) -> None:
        self._leg = leg
        self._clock = clock
        self._renderer = renderer
        self._observe = observer
        self._answer = answer
        self._transfer = transfer
        self._spool = spool
        self._ear = ear
        self._began = clock.monotonic()
        self._is_answered = False
        self._handed_over = False

    def now(self) -> float:
        return self._clock.monotonic() - self._began

    @property
    def hung_up(self) -> bool:
        return self._leg.end is not None or self._handed_over

    async def answer(self) -> None:
        """Sends the 200 and waits for the ACK: only then does the caller hear what we say.

        Keys that overtake the ACK are kept. Answering once more changes nothing.
        """
        if not self._is_answered and self._leg.end is None:
            self._is_answered = True
            self._answer()
        keys = []
        while not self._leg.is_up and self._leg.end is None:
            event = await self._leg.events.get()
            if isinstance(event, KeyPressed):
                keys.append(event)
        self._leg.events.put_back(keys)

    async def listen(self, request: ListenRequest) -> InputResult:
        if self.hung_up:
            return InputResult(InputKind.HANGUP)
        return await Wait(
            self._leg, self._clock, self._observe, self._player, self._ear, request
        ).result()

    async def play(self, prompts: Sequence[Prompt]) -> None:
        if self.hung_up or not prompts:
            return
        keys = []
        async with self._player(prompts, stop_on_key=False) as player:
            while not player.is_over and self._leg.end is None:
                event = await self._leg.events.get()
                if isinstance(event, Played):
                    player.played(event)
                elif isinstance(event, KeyPressed):
                    keys.append(event)
            self._leg.events.put_back(keys)
            player.raise_trouble()

    async def transfer(self, request: TransferRequest) -> TransferResult:
        await self.play(request.prompts)
        if self.hung_up:
            return TransferResult(HANGUP)
        # What was pressed for the dialogue is not meant for the bridge, and the other way round.
        self._leg.events.take_keys()
        result = await self._transfer(request)
        self._handed_over = result.outcome == TRANSFERRED
        self._observe(
            "transfer",
            {
                "dest": request.dest,
                "type": request.type,
                "outcome": result.outcome,
                "duration": round(result.duration, 3),
            },
        )
        return result

    async def play_while(self, waiting: Waiting, work: asyncio.Future[Resource]) -> None:
        if not self.hung_up:
            await FetchAudio(self._leg, self._clock, self._renderer).play(waiting, work)

    async def record(self, request: RecordRequest) -> RecordResult:
        if self.hung_up:
            return RecordResult(RecordEnding.HANGUP)
        recording = Recording(
            *(self._leg, self._clock, self._observe, self._player),
            *(self._spool, self._ear, request),
        )
        return await recording.result()

    async def disconnect(self, namelist: dict[str, Json]) -> None:
        await self.linger()
        self._leg.hang_up()

    async def linger(self) -> None:
        """Lets the far end hear the last of what was played."""
        if self._leg.is_up and self._leg.end is None:
            await self._clock.sleep(LINGER)

    def _player(
        self, prompts: Sequence[Prompt], *, stop_on_key: bool, stop_on_speech: bool = False
    ) -> Player:
        return Player(
            self._leg,
            self._renderer,
            self._observe,
            prompts,
            stop_on_key=stop_on_key,
            stop_on_speech=stop_on_speech,
        )
