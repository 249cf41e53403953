"""The interpreter's platform on a real leg.

The call is answered when its application is there: until then the caller hears ringing, so that
one that loads slowly is not answered by silence. What a wait for input does is decided here, in
one place: prompts go to the media engine, keys to the `KeyCollector`, and the first of them that
counts stops the prompts in the media thread itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from vxml_server.calls.fetch_audio import FetchAudio
from vxml_server.calls.leg import Leg
from vxml_server.calls.mailbox import KeyPressed, Played
from vxml_server.calls.player import MakePlayer, Player, is_hotword
from vxml_server.calls.recording import Recording
from vxml_server.calls.rendering import PromptRenderer
from vxml_server.calls.spool import CallSpool
from vxml_server.calls.transfer import HANGUP, TRANSFERRED
from vxml_server.clock import Clock
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import Resource
from vxml_server.interpreter import (
    InputKind,
    InputResult,
    Json,
    KeyCollector,
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

    `answer` sends the 200; `transfer` connects the caller elsewhere; `spool` keeps recordings.
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
    ) -> None:
        self._leg = leg
        self._clock = clock
        self._renderer = renderer
        self._observe = observer
        self._answer = answer
        self._transfer = transfer
        self._spool = spool
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
        return await _Wait(self._leg, self._clock, self._observe, self._player, request).result()

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
            self._leg, self._clock, self._observe, self._player, self._spool, request
        )
        return await recording.result()

    async def disconnect(self, namelist: dict[str, Json]) -> None:
        await self.linger()
        self._leg.hang_up()

    async def linger(self) -> None:
        """Lets the far end hear the last of what was played."""
        if self._leg.is_up and self._leg.end is None:
            await self._clock.sleep(LINGER)

    def _player(self, prompts: Sequence[Prompt], *, stop_on_key: bool) -> Player:
        return Player(
            self._leg,
            self._renderer,
            self._observe,
            prompts,
            stop_on_key=stop_on_key,
        )


class _Wait:
    """One wait for input: the prompts, the keys, and the timers of section 6.3.3."""

    def __init__(
        self,
        leg: Leg,
        clock: Clock,
        observe: Observer,
        make_player: MakePlayer,
        request: ListenRequest,
    ) -> None:
        self._leg = leg
        self._clock = clock
        self._observe = observe
        self._make_player = make_player
        self._request = request
        self._prompts: Sequence[Prompt] = request.prompts
        self._hears_keys = (
            any(active.mode == "dtmf" for active in request.grammars)
            and "dtmf" in request.properties.input_modes
        )
        self._collector: KeyCollector | None = None
        self._hotword = False
        self._silent_since: float | None = None

    async def result(self) -> InputResult:
        self._type_ahead()
        async with self._make_player(self._prompts, stop_on_key=self._hears_keys) as player:
            result = await self._listen(player)
            player.stop()
            name, seconds = player.mark()
        if name is None:
            return result
        return InputResult(result.kind, result.nbest, name, seconds)

    def _type_ahead(self) -> None:
        """Keys pressed before (section 4.1.5): a first prompt without barge-in discards them, one
        with it is not even begun."""
        keys = self._leg.events.take_keys()
        first = self._prompts[0] if self._prompts else None
        if first is not None and not first.bargein:
            return
        self._leg.events.put_back(keys)
        if keys and self._hears_keys and first is not None and not is_hotword(first):
            self._prompts = ()

    async def _listen(self, player: Player) -> InputResult:
        while True:
            if self._leg.end is not None:
                return InputResult(InputKind.HANGUP)
            player.raise_trouble()
            event = await self._leg.events.get(self._deadline(player))
            result: InputResult | None = None
            match event:
                case Played():
                    player.played(event)
                case KeyPressed(key):
                    result = self._key(key, player)
                case None:
                    result = self._expired(player)
            if result is not None:
                return result

    def _deadline(self, player: Player) -> float | None:
        """When something is to happen without the caller: a key timer, or the noinput timeout."""
        if self._collector is not None and self._collector.deadline is not None:
            return self._collector.deadline
        if not player.is_over:
            return None
        if self._silent_since is None:
            self._silent_since = self._clock.monotonic()
        return self._silent_since + self._request.properties.timeout

    def _key(self, key: str, player: Player) -> InputResult | None:
        playing = player.current
        if not self._hears_keys or (playing is not None and not playing.bargein):
            self._collector = None
            return None
        if playing is not None:
            self._hotword = is_hotword(playing)
        else:
            # Also after its end a prompt with hotword barge-in has input that matches nothing
            # passed over; a key that stopped a prompt is ordinary input.
            last = self._prompts[-1] if self._prompts and not player.is_stopped else None
            self._hotword = last is not None and is_hotword(last)
        if not self._hotword:
            player.stop()
        if self._collector is None:
            self._collector = KeyCollector(self._request.grammars, self._request.properties)
        return self._collected(self._collector, key)

    def _expired(self, player: Player) -> InputResult | None:
        now = self._clock.monotonic()
        if self._collector is not None and self._collector.deadline is not None:
            if self._collector.deadline > now:
                return None
            return self._collected(self._collector, None)
        if self._silent_since is None or not player.is_over:
            return None
        if self._silent_since + self._request.properties.timeout > now:
            return None
        return InputResult(InputKind.NOINPUT)

    def _collected(self, collector: KeyCollector, key: str | None) -> InputResult | None:
        """The keys with one more, or (None) with no more to come.

        The timers of a key that was typed ahead run from when it is looked at.
        """
        now = self._clock.monotonic()
        try:
            outcome = collector.expire() if key is None else collector.feed(key, now)
        except VoiceXmlEvent:
            self._observe_input(collector.pressed)
            raise
        if outcome is None:
            return None
        self._collector = None
        self._leg.events.put_back([KeyPressed(unused, now) for unused in outcome.unused])
        self._observe_input(outcome.pressed)
        if self._hotword and outcome.kind is InputKind.NOMATCH:
            return None
        return InputResult(outcome.kind, outcome.nbest)

    def _observe_input(self, keys: str) -> None:
        self._observe("input", {"mode": "dtmf", "utterance": keys, "confidence": 1.0})
