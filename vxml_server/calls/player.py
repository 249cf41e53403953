"""Prompts on their way to the caller: rendered side by side, played in order.

The rules that must hold: what was rendered is heard even if a later prompt cannot be rendered; when
a player is left nothing more is heard, and none of its work goes on. A key that barges in stops the
sound in the media thread; the player notices it by a playback that ended early.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vxml_server.calls.leg import Leg
from vxml_server.calls.mailbox import Played
from vxml_server.calls.rendering import PromptRenderer, RenderedPrompt
from vxml_server.clock import Clock
from vxml_server.interpreter import Observer, Prompt
from vxml_server.media import Playback

RATE = 8000


@dataclass(frozen=True, slots=True)
class _Piece:
    """A sound of a prompt, and where in all that is played it begins (seconds)."""

    prompt: Prompt
    begins: float


class Player:
    """Plays prompts once; an asynchronous context manager.

    Whoever reads the leg's mailbox meanwhile hands `played` its events, and is nudged when the last
    prompt has been rendered. `stop_on_key` lets a key stop the prompts that allow it.
    """

    def __init__(
        self,
        leg: Leg,
        clock: Clock,
        renderer: PromptRenderer,
        observe: Observer,
        prompts: Sequence[Prompt],
        *,
        stop_on_key: bool,
    ) -> None:
        self.is_stopped = False
        """Whether it was stopped before its end, by `stop` or by a key."""
        self._leg = leg
        self._clock = clock
        self._renderer = renderer
        self._observe = observe
        self._prompts = prompts
        self._stop_on_key = stop_on_key
        self._feeding: asyncio.Task[None] | None = None
        self._trouble: BaseException | None = None
        self._queued = 0
        self._queued_seconds = 0.0
        self._pieces: dict[Playback, _Piece] = {}
        self._piece_began = 0.0
        self._heard_seconds = 0.0
        self._marks: list[tuple[str, float]] = []

    async def __aenter__(self) -> Player:
        if self._prompts:
            self._feeding = asyncio.create_task(self._feed(), name="prompts")
            self._feeding.add_done_callback(self._fed)
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.stop()
        if self._feeding is not None and not self._feeding.done():
            await asyncio.wait([self._feeding])

    # What a reader of the mailbox asks ---------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Nothing is left to be heard."""
        return not self._pieces and (self._feeding is None or self._feeding.done())

    @property
    def current(self) -> Prompt | None:
        """The prompt that sounds now, or that comes next while it is rendered; None after all."""
        if self.is_stopped or self.is_over:
            return None
        if self._pieces:
            return next(iter(self._pieces.values())).prompt
        return self._prompts[min(self._queued, len(self._prompts) - 1)]

    def played(self, event: Played) -> None:
        """A playback is over, perhaps one of ours."""
        piece = self._pieces.pop(event.playback, None)
        if piece is None:
            return
        self._heard_seconds = piece.begins + event.samples / RATE
        self._piece_began = self._clock.monotonic()
        if not event.finished:
            # A key has emptied the queue in the media thread.
            self._halt()

    def stop(self) -> None:
        """Nothing more is heard."""
        if self.is_stopped or self.is_over:
            return
        if self._pieces:
            self._heard_seconds = self._heard_so_far()
        self._halt()

    def _halt(self) -> None:
        self.is_stopped = True
        if self._feeding is not None:
            self._feeding.cancel()
        if self._pieces:
            self._leg.stop_playing()
            self._pieces.clear()

    def raise_trouble(self) -> None:
        """Raises what went wrong while prompts were rendered, once those before were heard.

        A key that stopped them came first.
        """
        if self._trouble is not None and self.is_over and not self.is_stopped:
            raise self._trouble

    def mark(self) -> tuple[str | None, float | None]:
        """The last mark heard, and the seconds of sound since (VoiceXML 2.1 section 8)."""
        heard = [(name, at) for name, at in self._marks if at <= self._heard_seconds]
        if not heard:
            return None, None
        name, at = heard[-1]
        return name, self._heard_seconds - at

    # Inside ------------------------------------------------------------------------------------

    async def _feed(self) -> None:
        first, *others = self._prompts
        rendering = [asyncio.ensure_future(self._renderer.render(prompt)) for prompt in others]
        try:
            await self._queue(await self._renderer.render(first))
            for rendered in rendering:
                await self._queue(await rendered)
        finally:
            for rendered in rendering:
                rendered.cancel()
            await asyncio.gather(*rendering, return_exceptions=True)

    def _fed(self, feeding: asyncio.Task[None]) -> None:
        """Whoever waits for the end of the prompts has to look again: there are no more."""
        if not feeding.cancelled():
            self._trouble = feeding.exception()
        if not self.is_stopped:
            self._leg.events.nudge()

    async def _queue(self, rendered: RenderedPrompt) -> None:
        prompt = rendered.prompt
        for sound in rendered.sounds:
            await self._leg.prepare(sound)
        self._observe(
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
        # The media thread does not know that an INFO and a tone may be the same press: it would
        # stop the next prompt when it hears the second.
        stop_on_key = self._stop_on_key and stops_on_key(prompt) and not self._leg.has_info_keys
        for sound in rendered.sounds:
            if not self._pieces:
                self._piece_began = self._clock.monotonic()
            playback = self._leg.play(sound, stop_on_key=stop_on_key)
            self._pieces[playback] = _Piece(prompt, self._queued_seconds)
            self._queued_seconds += sound.seconds
        self._queued += 1

    def _heard_so_far(self) -> float:
        """An estimate, good to a tick, for when we do not wait for the media thread's count."""
        begins = [piece.begins for piece in self._pieces.values()]
        end = begins[1] if len(begins) > 1 else self._queued_seconds
        return min(begins[0] + self._clock.monotonic() - self._piece_began, end)


def is_hotword(prompt: Prompt) -> bool:
    """Whether input that matches nothing leaves the prompt playing (section 4.1.5.1)."""
    return prompt.bargein and prompt.bargein_type == "hotword"


def stops_on_key(prompt: Prompt) -> bool:
    """Whether any key stops the prompt."""
    return prompt.bargein and prompt.bargein_type == "speech"


class MakePlayer(Protocol):
    """How a wait gets its player, without knowing what it plays on."""

    def __call__(self, prompts: Sequence[Prompt], *, stop_on_key: bool) -> Player: ...
