"""Prompts on their way to the caller: rendered side by side, played in order.

A prompt begins to sound with the first words there are of it; the rest is made meanwhile.

The rules that must hold: what was rendered is heard even if what follows cannot be rendered; when
a player is left nothing more is heard, and none of its work goes on. A key that barges in stops the
sound in the media thread; the player notices it by a playback that ended early. What was heard is
what the media thread has counted, so marks are right to a frame.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from vxml_server.calls.leg import Leg
from vxml_server.calls.mailbox import Played
from vxml_server.calls.rendering import Piece, PromptRenderer
from vxml_server.interpreter import Observer, Prompt
from vxml_server.media import Playback

RATE = 8000


class _Preparation:
    """A prompt that is rendered beside what sounds, without waiting for its turn."""

    def __init__(self, prompt: Prompt, pieces: AsyncGenerator[Piece]) -> None:
        self.prompt = prompt
        self.task = asyncio.create_task(self._make(pieces), name="prompt")
        self._made: asyncio.Queue[Piece | None] = asyncio.Queue()

    async def _make(self, pieces: AsyncGenerator[Piece]) -> None:
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    self._made.put_nowait(piece)
        finally:
            self._made.put_nowait(None)

    async def next_piece(self) -> Piece | None:
        """The next piece; None after the last. Raises what rendering raised, after those before."""
        piece = await self._made.get()
        if piece is None:
            await self.task
        return piece


@dataclass(frozen=True, slots=True)
class _Queued:
    """A piece that sounds or waits to, and the prompt it belongs to."""

    prompt: Prompt
    piece: Piece


class Player:
    """Plays prompts once; an asynchronous context manager.

    Whoever reads the leg's mailbox meanwhile hands `played` its events, and is nudged when the last
    prompt has been rendered. `stop_on_key` and `stop_on_speech` let a key, or a voice that the tap
    of the leg's channel hears, stop the prompts that allow it.
    """

    def __init__(
        self,
        leg: Leg,
        renderer: PromptRenderer,
        observe: Observer,
        prompts: Sequence[Prompt],
        *,
        stop_on_key: bool,
        stop_on_speech: bool = False,
    ) -> None:
        self.is_stopped = False
        """Whether it was stopped before its end, by `stop` or by a key."""
        self._leg = leg
        self._renderer = renderer
        self._observe = observe
        self._prompts = prompts
        self._stop_on_key = stop_on_key
        self._stop_on_speech = stop_on_speech
        self._feeding: asyncio.Task[None] | None = None
        self._trouble: BaseException | None = None
        self._queued = 0  # prompts of which everything is in the queue
        self._queue: dict[Playback, _Queued] = {}
        self._unreported: tuple[Prompt, list[Piece]] | None = None
        self._heard_seconds = 0.0  # of what is over
        self._marks_heard: list[tuple[str, float]] = []

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
        return not self._queue and (self._feeding is None or self._feeding.done())

    @property
    def current(self) -> Prompt | None:
        """The prompt that sounds now, or that comes next while it is rendered; None after all."""
        if self.is_stopped or self.is_over:
            return None
        if self._queue:
            return next(iter(self._queue.values())).prompt
        return self._prompts[min(self._queued, len(self._prompts) - 1)]

    def played(self, event: Played) -> None:
        """A playback is over, perhaps one of ours."""
        queued = self._queue.pop(event.playback, None)
        if queued is None:
            return
        self._hear(queued.piece, event.samples, finished=event.finished)
        if not event.finished:
            # A key has emptied the queue in the media thread.
            self._halt()

    def stop(self) -> None:
        """Nothing more is heard."""
        if self.is_stopped or self.is_over:
            return
        for playback, queued in self._queue.items():
            samples = self._leg.samples_played(playback)
            sound = queued.piece.sound
            finished = sound.is_complete and samples >= len(sound)
            self._hear(queued.piece, samples, finished=finished)
            if not finished:
                break
        self._halt()

    def _hear(self, piece: Piece, samples: int, *, finished: bool) -> None:
        """Counts what was heard of a piece; a mark at its very beginning takes a sample of it."""
        self._marks_heard += [
            (name, self._heard_seconds + at)
            for name, at in piece.marks
            if finished or (samples and at * RATE <= samples)
        ]
        self._heard_seconds += samples / RATE

    def _halt(self) -> None:
        self.is_stopped = True
        self._report()
        if self._feeding is not None:
            self._feeding.cancel()
        if self._queue:
            self._leg.stop_playing()
            self._queue.clear()

    def raise_trouble(self) -> None:
        """Raises what went wrong while prompts were rendered, once those before were heard.

        A key that stopped them came first.
        """
        if self._trouble is not None and self.is_over and not self.is_stopped:
            raise self._trouble

    def mark(self) -> tuple[str | None, float | None]:
        """The last mark heard, and the seconds of sound since (VoiceXML 2.1 section 8)."""
        if not self._marks_heard:
            return None, None
        name, at = self._marks_heard[-1]
        return name, self._heard_seconds - at

    # Inside ------------------------------------------------------------------------------------

    async def _feed(self) -> None:
        preparing = [
            _Preparation(prompt, self._renderer.render(prompt)) for prompt in self._prompts
        ]
        try:
            for preparation in preparing:
                await self._put(preparation)
        finally:
            for preparation in preparing:
                preparation.task.cancel()
            await asyncio.gather(*(one.task for one in preparing), return_exceptions=True)

    def _fed(self, feeding: asyncio.Task[None]) -> None:
        """Whoever waits for the end of the prompts has to look again: there are no more."""
        if not feeding.cancelled():
            self._trouble = feeding.exception()
        if not self.is_stopped:
            self._leg.events.nudge()

    async def _put(self, preparation: _Preparation) -> None:
        """Puts a prompt in the queue of the leg, each piece when there is something of it."""
        prompt = preparation.prompt
        pieces: list[Piece] = []
        try:
            while (piece := await preparation.next_piece()) is not None:
                pieces.append(piece)
                self._unreported = (prompt, pieces)
                await self._leg.prepare(piece.sound)
                # The media thread does not know that an INFO and a tone may be the same press: it
                # would stop the next prompt when it hears the second.
                stops = stops_on_input(prompt)
                playback = self._leg.play(
                    piece.sound,
                    stop_on_key=self._stop_on_key and stops and not self._leg.has_info_keys,
                    stop_on_speech=self._stop_on_speech and stops,
                )
                self._queue[playback] = _Queued(prompt, piece)
            self._unreported = (prompt, pieces)
        finally:
            self._report()
        self._queued += 1

    def _report(self) -> None:
        """Tells what there is of a prompt: all of it is known, or no more will be heard."""
        if self._unreported is None:
            return
        (prompt, pieces), self._unreported = self._unreported, None
        self._observe(
            "prompt",
            {
                "text": " ".join(piece.text for piece in pieces if piece.text),
                "lang": prompt.lang,
                "bargein": prompt.bargein,
                "audio": [piece.audio for piece in pieces if piece.audio],
                "marks": [name for piece in pieces for name, _ in piece.marks],
            },
        )


def is_hotword(prompt: Prompt) -> bool:
    """Whether input that matches nothing leaves the prompt playing (section 4.1.5.1)."""
    return prompt.bargein and prompt.bargein_type == "hotword"


def stops_on_input(prompt: Prompt) -> bool:
    """Whether any input stops the prompt, whatever comes of it."""
    return prompt.bargein and prompt.bargein_type == "speech"


class MakePlayer(Protocol):
    """How a wait gets its player, without knowing what it plays on."""

    def __call__(
        self, prompts: Sequence[Prompt], *, stop_on_key: bool, stop_on_speech: bool = False
    ) -> Player: ...
