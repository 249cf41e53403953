"""Who else gets what goes through a channel, and what stops when he notices speech."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.media.world import (
    World,
    heard_through,
    ramp,
    sine,
    stream_to,
)
from vxml_server.media import Direction


def test_a_tap_gets_both_directions() -> None:
    class Recorder:
        def __init__(self) -> None:
            self.frames: list[tuple[NDArray[np.int16], NDArray[np.int16]]] = []

        def frame(self, received: NDArray[np.int16], sent: NDArray[np.int16]) -> bool:
            self.frames.append((received, sent))
            return False

    world = World()
    channel, _, far = world.call()
    recorder = Recorder()
    channel.tap(recorder)
    prompt, voice = ramp(1600), sine(0.4)
    channel.play(prompt)
    far.speak(voice)
    channel.configure(stream_to(direction=Direction.RECVONLY))
    channel.play(prompt)
    world.run(2)
    channel.tap(None)
    world.run(10)
    received = np.concatenate([r for r, _ in recorder.frames])
    sent = np.concatenate([s for _, s in recorder.frames])
    assert len(received) == len(sent) == 22 * 160
    assert np.array_equal(sent[:1600], heard_through(prompt))
    assert not sent[1600:].any()
    assert np.array_equal(received[320:], heard_through(voice))


def test_a_channel_knows_whether_media_has_come() -> None:
    world = World()
    channel, _, far = world.call()
    world.run(5)
    assert not channel.has_received
    far.speak(sine(0.04))
    assert channel.has_received


class Ear:
    """A tap that says that somebody speaks when a frame is loud."""

    def frame(self, received: NDArray[np.int16], sent: NDArray[np.int16]) -> bool:
        return bool(np.abs(received).max() > 4000)


def test_after_the_tick_in_which_speech_is_noticed_no_prompt_leaves() -> None:
    world = World()
    channel, heard, far = world.call()
    channel.tap(Ear())
    first = channel.play(ramp(80000), stop_on_speech=True)
    second = channel.play(ramp(800))
    world.run(10)
    far.speak(sine(0.2))
    assert heard.ended == [(first, heard.ended[0][1], False), (second, 0, False)]
    # The frame of the tick itself had left before anything was received.
    assert len(np.flatnonzero(far.audio())) == heard.ended[0][1]
    assert heard.ended[0][1] / 160 <= 10 + 3


@pytest.mark.parametrize("stops", [{}, {"stop_on_key": True}])
def test_speech_leaves_a_prompt_alone_that_does_not_stop(stops: dict[str, bool]) -> None:
    world = World()
    channel, heard, far = world.call()
    channel.tap(Ear())
    channel.play(ramp(80000), **stops)
    world.run(10)
    far.speak(sine(0.2))
    assert heard.ended == []
    assert far.audio()[-160:].all()


def test_a_tap_that_fails_costs_the_tap_only(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def frame(self, received: NDArray[np.int16], sent: NDArray[np.int16]) -> bool:
            raise RuntimeError("disk full")

    world = World()
    channel, _, far = world.call()
    channel.tap(Broken())
    world.run(5)
    assert len(far.packets) == 5
    assert [record.message for record in caplog.records] == ["a tap failed and was removed"]
