"""The interpreter's platform on a real leg.

The call is answered when its application is there: until then the caller hears ringing, so that
one that loads slowly is not answered by silence. What a wait for input does is decided here, in
one place: prompts go to the media engine, keys to the `KeyCollector`, and the first of them that
counts stops the prompts in the media thread itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from vxml_server.calls.leg import Ended, KeyPressed, Leg, Played
from vxml_server.calls.rendering import PromptRenderer, RenderedPrompt
from vxml_server.clock import Clock
from vxml_server.interpreter import (
    InputKind,
    InputResult,
    Json,
    KeyCollector,
    KeyOutcome,
    ListenRequest,
    Observer,
    Prompt,
    TransferRequest,
    TransferResult,
)
from vxml_server.media import Playback

# Silence after the last prompt before we hang up: what the far end still holds in its jitter
# buffer is heard before the BYE ends everything.
LINGER = 0.2

Answer = Callable[[], None]
TransferFunction = Callable[[TransferRequest], Awaitable[TransferResult]]


class CallPlatform:
    """`Platform` on a leg.

    `answer` sends the 200; `transfer` connects the caller elsewhere.
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
    ) -> None:
        self._leg = leg
        self._clock = clock
        self._renderer = renderer
        self._observe = observer
        self._answer = answer
        self._transfer = transfer
        self._began = clock.monotonic()
        self._handed_over = False

    def now(self) -> float:
        return self._clock.monotonic() - self._began

    @property
    def hung_up(self) -> bool:
        return self._leg.end is not None or self._handed_over

    async def answer(self) -> None:
        """Sends the 200 and waits for the ACK: only then does the caller hear what we say."""
        if self._leg.end is None:
            self._answer()
        while not self._leg.is_up and self._leg.end is None:
            await self._leg.events.get()

    async def listen(self, request: ListenRequest) -> InputResult:
        if self.hung_up:
            return InputResult(InputKind.HANGUP)
        return await _Wait(self, request).result()

    async def play(self, prompts: Sequence[Prompt]) -> None:
        if self.hung_up:
            return
        with _Player(self, prompts, stop_on_key=False) as player:
            kept = []
            while not player.is_over and self._leg.end is None:
                event = await self._leg.events.get()
                if isinstance(event, Ended):
                    break
                if isinstance(event, Played):
                    player.played(event)
                elif isinstance(event, KeyPressed):
                    kept.append(event)
            self._leg.events.put_back(list(kept))
            player.raise_trouble()

    async def transfer(self, request: TransferRequest) -> TransferResult:
        await self.play(request.prompts)
        if self.hung_up:
            return TransferResult("connection.disconnect.hangup")
        result = await self._transfer(request)
        self._handed_over = result.outcome == "connection.disconnect.transfer"
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

    async def disconnect(self, namelist: dict[str, Json]) -> None:
        await self.linger()
        self._leg.hang_up()

    async def linger(self) -> None:
        """Lets the far end hear the last of what was played."""
        if self._leg.is_up and self._leg.end is None:
            await self._clock.sleep(LINGER)

    # For a wait and a player -------------------------------------------------------------------

    @property
    def leg(self) -> Leg:
        return self._leg

    @property
    def clock(self) -> Clock:
        return self._clock

    async def render(self, prompt: Prompt) -> RenderedPrompt:
        return await self._renderer.render(prompt)

    def observe(self, kind: str, record: dict[str, Json]) -> None:
        self._observe(kind, record)


class _Player:
    """Prompts on their way to the media engine: rendered side by side, played in order.

    A context manager: leaving it stops whatever has not been heard.
    """

    def __init__(
        self, platform: CallPlatform, prompts: Sequence[Prompt], *, stop_on_key: bool
    ) -> None:
        self._platform = platform
        self._prompts = prompts
        self._stop_on_key = stop_on_key
        self._playing: dict[Playback, Prompt] = {}
        self._starts: dict[Playback, float] = {}
        self._marks: list[tuple[str, float]] = []
        self._queued_seconds = 0.0
        self._heard_seconds = 0.0
        self._is_stopped = False
        self._trouble: BaseException | None = None
        self._feeding: asyncio.Task[None] | None = None

    def __enter__(self) -> _Player:
        if self._prompts:
            self._feeding = asyncio.create_task(self._feed(), name="prompts")
            self._feeding.add_done_callback(self._fed)
        return self

    def _fed(self, feeding: asyncio.Task[None]) -> None:
        """Whoever waits for the end of the prompts has to look again: there are no more."""
        if not feeding.cancelled():
            self._trouble = feeding.exception()
        self._platform.leg.events.nudge()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    async def _feed(self) -> None:
        rendering = [
            asyncio.ensure_future(self._platform.render(prompt)) for prompt in self._prompts
        ]
        try:
            for rendered in rendering:
                self._queue(await rendered)
        finally:
            for rendered in rendering:
                rendered.cancel()
            await asyncio.gather(*rendering, return_exceptions=True)

    def _queue(self, rendered: RenderedPrompt) -> None:
        prompt = rendered.prompt
        self._platform.observe(
            "prompt",
            {
                "text": " ".join(rendered.text),
                "lang": prompt.lang,
                "bargein": prompt.bargein,
                "audio": list(rendered.audio),
                "marks": [name for name, _ in rendered.marks],
            },
        )
        self._marks += [(name, self._queued_seconds + at) for name, at in rendered.marks]
        stop_on_key = self._stop_on_key and prompt.bargein and prompt.bargein_type == "speech"
        for sound in rendered.sounds:
            playback = self._platform.leg.play(sound, stop_on_key=stop_on_key)
            self._playing[playback] = prompt
            self._starts[playback] = self._queued_seconds
            self._queued_seconds += sound.seconds

    @property
    def is_over(self) -> bool:
        """Nothing is left to be heard."""
        return not self._playing and (self._feeding is None or self._feeding.done())

    @property
    def current(self) -> Prompt | None:
        """The prompt that sounds now, or that comes next while it is still being rendered."""
        if self._playing:
            return next(iter(self._playing.values()))
        if self._feeding is not None and not self._feeding.done():
            return self._prompts[0]
        return None

    def played(self, event: Played) -> None:
        if self._playing.pop(event.playback, None) is None:
            return
        self._heard_seconds = self._starts[event.playback] + event.samples / 8000

    def stop(self) -> None:
        """Nothing more is heard."""
        if self._is_stopped:
            return
        self._is_stopped = True
        if self._feeding is not None and not self._feeding.done():
            self._feeding.cancel()
        if self._playing:
            self._platform.leg.stop_playing()
            self._playing.clear()

    def raise_trouble(self) -> None:
        """Raises what went wrong while the prompts were rendered."""
        if self._trouble is not None:
            raise self._trouble

    def mark(self) -> tuple[str | None, float | None]:
        """The last mark heard, and the seconds since (VoiceXML 2.1 section 8)."""
        heard = [(name, at) for name, at in self._marks if at <= self._heard_seconds]
        if not heard:
            return None, None
        name, at = heard[-1]
        return name, self._heard_seconds - at


class _Wait:
    """One wait for input: the prompts, the keys, and the timers of section 6.3.3."""

    def __init__(self, platform: CallPlatform, request: ListenRequest) -> None:
        self._platform = platform
        self._request = request
        self._leg = platform.leg
        self._hears_keys = (
            any(active.mode == "dtmf" for active in request.grammars)
            and "dtmf" in request.properties.input_modes
        )
        self._collector: KeyCollector | None = None
        self._silent_since: float | None = None

    async def result(self) -> InputResult:
        first = self._request.prompts[0] if self._request.prompts else None
        typed_ahead = self._leg.events.take_keys()
        if first is None or first.bargein:
            self._leg.events.put_back(typed_ahead)
        barged_in = bool(typed_ahead) and self._hears_keys and first is not None
        skip = barged_in and first is not None and first.bargein and not _is_hotword(first)
        prompts = () if skip else self._request.prompts
        with _Player(self._platform, prompts, stop_on_key=self._hears_keys) as player:
            result = await self._listen(player)
            player.stop()
            name, seconds = player.mark()
            if name is None:
                return result
            return InputResult(result.kind, result.nbest, name, seconds)

    async def _listen(self, player: _Player) -> InputResult:
        while True:
            player.raise_trouble()
            if self._leg.end is not None:
                return InputResult(InputKind.HANGUP)
            event = await self._leg.events.get(self._deadline(player))
            match event:
                case Ended():
                    return InputResult(InputKind.HANGUP)
                case Played():
                    player.played(event)
                case KeyPressed(key, at):
                    if (result := self._key(key, at, player)) is not None:
                        return result
                case None:
                    if (result := self._expired(player)) is not None:
                        return result

    def _deadline(self, player: _Player) -> float | None:
        """When something is to happen without the caller: a key timer, or the noinput timeout."""
        if self._collector is not None and self._collector.deadline is not None:
            return self._collector.deadline
        if not player.is_over:
            return None
        if self._silent_since is None:
            self._silent_since = self._platform.clock.monotonic()
        return self._silent_since + self._request.properties.timeout

    def _key(self, key: str, at: float, player: _Player) -> InputResult | None:
        playing = player.current
        if not self._hears_keys or (playing is not None and not playing.bargein):
            return None
        if playing is None or not _is_hotword(playing):
            player.stop()
        if self._collector is None:
            self._collector = KeyCollector(self._request.grammars, self._request.properties)
        # A key typed ahead is old; its timers run from when it is looked at.
        now = self._platform.clock.monotonic()
        return self._outcome(self._collector.feed(key, max(at, now)), player)

    def _expired(self, player: _Player) -> InputResult | None:
        if self._collector is not None and self._collector.deadline is not None:
            if self._collector.deadline > self._platform.clock.monotonic():
                return None
            return self._outcome(self._collector.expire(), player)
        if self._silent_since is None or not player.is_over:
            return None
        if self._silent_since + self._request.properties.timeout > self._platform.clock.monotonic():
            return None
        return InputResult(InputKind.NOINPUT)

    def _outcome(self, outcome: KeyOutcome | None, player: _Player) -> InputResult | None:
        if outcome is None:
            return None
        self._collector = None
        now = self._platform.clock.monotonic()
        self._leg.events.put_back([KeyPressed(key, now) for key in outcome.unused])
        self._platform.observe(
            "input", {"mode": "dtmf", "utterance": outcome.pressed, "confidence": 1.0}
        )
        playing = player.current
        if outcome.kind is InputKind.NOMATCH and playing is not None and _is_hotword(playing):
            return None
        return InputResult(outcome.kind, outcome.nbest)


def _is_hotword(prompt: Prompt) -> bool:
    return prompt.bargein_type == "hotword"
