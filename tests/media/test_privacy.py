"""Keys that neither a bridged party nor a tap is to hear, over a network in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.media.tones import dialled, tone_milliseconds
from tests.media.world import FarEnd, World, heard_through, sine
from vxml_server.dtmf import KEYS, event_packets, tone
from vxml_server.media import Codec, Sound, rtp
from vxml_server.media.play import ENCODE
from vxml_server.media.stream import FRAME

LATE = 2 * FRAME
"""Samples by which muting delays what is heard."""
PCMA: dict[str, Any] = {"codec": Codec.PCMA, "payload_type_send": 8, "payload_type_receive": 8}
LAWS: list[tuple[Codec, int, dict[str, Any]]] = [(Codec.PCMU, 0, {}), (Codec.PCMA, 8, PCMA)]


class Recorder:
    def __init__(self) -> None:
        self.received: list[NDArray[np.int16]] = []
        self.sent: list[NDArray[np.int16]] = []

    def frame(self, received: NDArray[np.int16], sent: NDArray[np.int16]) -> bool:
        self.received.append(received)
        self.sent.append(sent)
        return False

    @property
    def audio(self) -> NDArray[np.int16]:
        return np.concatenate(self.received)


def speech(seconds: float, seed: int = 3) -> NDArray[np.int16]:
    """A voice, roughly: harmonics of a pitch that moves, with formants that move, in syllables."""
    time = np.arange(round(seconds * 8000)) / 8000
    random = np.random.default_rng(seed)
    phase = 2 * np.pi * np.cumsum(120 + 25 * np.sin(2 * np.pi * 0.7 * time)) / 8000
    formant = 700 + 300 * np.sin(2 * np.pi * 1.9 * time)
    voice = np.zeros(len(time))
    for number, turn in enumerate(random.uniform(0, 6, 24), 1):
        voice += np.exp(-(((number * 120 - formant) / 400) ** 2)) * np.sin(number * phase + turn)
    return (4000 * voice * (0.55 + 0.45 * np.sin(2 * np.pi * 3.1 * time))).astype(np.int16)


@pytest.mark.parametrize(("codec", "number", "law"), LAWS)
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("offset", [0, 37, 111])
def test_a_bridged_party_hears_nothing_of_a_key_beyond_20_ms(
    codec: Codec, number: int, law: dict[str, Any], key: str, offset: int
) -> None:
    world = World(mute_keys=True)
    a, heard, far_a = world.call(**law)
    b, _, far_b = world.call(5002, **law)
    world.engine.bridge(a, b)
    far_a.speak(dialled(key, offset=offset), codec, number)
    assert heard.pressed == key
    assert tone_milliseconds(dialled(key, offset=offset), key) >= 95
    assert tone_milliseconds(far_b.audio(codec, number), key) <= 20


def test_a_bridged_party_hears_nothing_of_a_string_of_keys_that_each_begin_anywhere() -> None:
    world = World(mute_keys=True)
    a, heard, far_a = world.call()
    b, _, far_b = world.call(5002)
    world.engine.bridge(a, b)
    number = np.zeros(0, np.int16)
    for place, key in enumerate(KEYS):
        number = np.concatenate([number, np.zeros(800 + 31 * place, np.int16), tone(key, 60)])
    far_a.speak(np.append(number, np.zeros(4000 - len(number) % FRAME, np.int16)))
    assert heard.pressed == KEYS
    for key in KEYS:
        assert tone_milliseconds(far_b.audio(), key) <= 20


def test_a_tap_hears_nothing_of_a_key_beyond_20_ms_from_either_party() -> None:
    world = World(mute_keys=True)
    a, heard, far_a = world.call()
    b, other, far_b = world.call(5002)
    recorder = Recorder()
    a.tap(recorder)
    far_a.speak(dialled("5"))
    world.engine.bridge(a, b)
    far_a.speak(dialled("6"))
    far_b.speak(dialled("9"))
    assert (heard.pressed, other.pressed) == ("56", "9")
    sent = np.concatenate(recorder.sent)
    assert len(sent) == len(recorder.audio) == world.ticks * FRAME
    for key in "569":
        assert tone_milliseconds(recorder.audio, key) <= 20
        assert tone_milliseconds(sent, key) <= 20


def test_speech_passes_whole_but_late_to_a_bridged_party_and_a_tap() -> None:
    heard_by = []
    for mute_keys in (False, True):
        world = World(mute_keys=mute_keys)
        a, heard, far_a = world.call()
        b, _, far_b = world.call(5002)
        recorder = Recorder()
        a.tap(recorder)
        world.engine.bridge(a, b)
        far_a.speak(speech(6))
        world.run(6)
        assert heard.pressed == ""
        heard_by.append((recorder.audio, far_b.audio()))
    for plain, muted in zip(*heard_by, strict=True):
        assert np.abs(plain).max() > 2000
        assert np.array_equal(muted[LATE:], plain[:-LATE])
        assert not muted[:LATE].any()


def test_speech_before_and_after_a_key_passes() -> None:
    world = World(mute_keys=True)
    channel, heard, far = world.call()
    recorder = Recorder()
    channel.tap(recorder)
    before, after = speech(1), speech(1, seed=5)
    far.speak(np.concatenate([before, tone("5", 100), after]))
    world.run(6)
    start = 2 * LATE
    audio, said = recorder.audio, heard_through(np.concatenate([before, tone("5", 100), after]))
    assert heard.pressed == "5"
    audio = audio[start : start + len(said)]
    assert np.array_equal(audio[: 8000 - 2 * FRAME], said[: 8000 - 2 * FRAME])
    assert np.array_equal(audio[8800 + 3 * FRAME :], said[8800 + 3 * FRAME :])
    assert not audio[8000:8800].any()


def test_what_stands_in_for_a_lost_end_of_a_key_is_not_heard() -> None:
    world = World(mute_keys=True)
    a, _, far_a = world.call()
    b, _, far_b = world.call(5002)
    world.engine.bridge(a, b)
    octets = ENCODE[Codec.PCMU](dialled("5")).tobytes()
    for place in range(0, len(octets), FRAME):
        packet = far_a.packet(octets[place : place + FRAME])
        if not 14 <= place // FRAME < 20:  # the last frame of the key, and 100 ms after it
            far_a.send(packet)
        world.run()
    assert tone_milliseconds(far_b.audio(), "5") <= 20


def test_without_muting_keys_are_heard_by_everybody_and_nothing_is_late() -> None:
    world = World()
    a, _, far_a = world.call()
    b, _, far_b = world.call(5002)
    recorder = Recorder()
    a.tap(recorder)
    world.engine.bridge(a, b)
    sound = dialled("5")
    far_a.speak(sound)
    count = len(sound) - LATE
    assert np.array_equal(recorder.audio[LATE:], heard_through(sound)[:count])
    assert np.array_equal(far_b.audio()[LATE:], heard_through(sound, times=2)[:count])
    assert not any(p.payload_type == 101 for p in far_b.packets)


def test_with_muting_what_a_caller_hears_of_the_server_is_not_late() -> None:
    prompts: list[NDArray[np.int16]] = []
    for mute_keys in (False, True):
        world = World(mute_keys=mute_keys)
        channel, _, far = world.call()
        channel.tap(Recorder())
        channel.play(Sound(sine(0.2)))
        world.run(20)
        prompts.append(far.audio())
    assert np.array_equal(prompts[0], prompts[1])


def test_a_muted_key_passes_a_bridge_as_an_event() -> None:
    world = World(mute_keys=True)
    a, heard, far_a = world.call()
    b, _, far_b = world.call(5002)
    world.engine.bridge(a, b)
    far_a.speak(dialled("7"))
    world.run(10)
    assert [(key, source) for key, source, _ in heard.keys] == [("7", "inband")]
    events = [p.payload for p in far_b.packets if p.payload_type == 101]
    assert events == [p.payload for p in event_packets("7")]


def test_a_muted_key_does_not_pass_a_bridge_that_keeps_keys() -> None:
    world = World(mute_keys=True)
    a, heard, far_a = world.call()
    b, _, far_b = world.call(5002)
    world.engine.bridge(a, b, keys_pass=False)
    far_a.speak(dialled("7"))
    world.run(10)
    assert heard.pressed == "7"
    assert not any(p.payload_type == 101 for p in far_b.packets)


@pytest.mark.parametrize("way", ["tone", "event", "application"])
def test_with_muting_no_key_is_made_a_tone_on_a_bridge(way: str) -> None:
    world = World(mute_keys=True)
    a, _, far_a = world.call()
    b, _, far_b = world.call(5002, event_payload_type_send=None)
    world.engine.bridge(a, b)
    if way == "tone":
        far_a.speak(dialled("7"))
    elif way == "event":
        send_event(world, far_a, "7")
    else:
        b.send_keys("7")
    world.run(20)
    assert not far_b.audio().any()
    world.engine.unbridge(a)
    b.send_keys("7")
    world.run(20)
    assert tone_milliseconds(far_b.audio(), "7") >= 95


def test_a_key_that_comes_as_tone_and_event_passes_a_bridge_once() -> None:
    world = World(mute_keys=True)
    a, heard, far_a = world.call()
    b, _, far_b = world.call(5002)
    world.engine.bridge(a, b)
    far_a.speak(dialled("7")[: 1600 + 640])
    send_event(world, far_a, "7")
    world.run(20)
    assert [source for _, source, _ in heard.keys] == ["inband", "rfc4733"]
    events = [p.payload for p in far_b.packets if p.payload_type == 101]
    assert events == [p.payload for p in event_packets("7")]


def test_tones_that_a_gateway_sends_beside_its_events_are_muted_though_they_are_no_keys() -> None:
    world = World(mute_keys=True)
    a, heard, far_a = world.call()
    b, _, far_b = world.call(5002)
    world.engine.bridge(a, b)
    send_event(world, far_a, "1")
    far_a.speak(dialled("5"))
    send_event(world, far_b, "2")  # from now on no channel is listened to
    far_a.speak(dialled("6"))
    assert heard.pressed == "1"
    for key in "56":
        assert tone_milliseconds(far_b.audio(), key) <= 20


def test_hundreds_of_muted_channels_keep_their_audio_apart() -> None:
    world = World(range(40000, 40800), mute_keys=True)
    calls = [world.call(5000 + 2 * number) for number in range(300)]
    for (a, _, _), (b, _, _) in zip(calls[::2], calls[1::2], strict=True):
        world.engine.bridge(a, b)
    sound = ENCODE[Codec.PCMU](dialled("5")).tobytes()
    level = [ENCODE[Codec.PCMU](np.full(FRAME, 50 * n, np.int16)).tobytes() for n in range(300)]
    for place in range(0, len(sound), FRAME):
        for number, (_, _, far) in enumerate(calls):
            octets = sound[place : place + FRAME] if number % 50 == 0 else level[number]
            far.send(far.packet(octets))
        world.run()
    for number, (_, heard, _) in enumerate(calls):
        listener = calls[number ^ 1][2]
        if number % 50 == 0:
            assert heard.pressed == "5"
            assert tone_milliseconds(listener.audio(), "5") <= 20
        else:
            assert heard.pressed == ""
            expected = heard_through(np.full(1, 50 * number, np.int16), times=2)
            assert set(listener.audio()[2 * LATE :]) == set(expected)


def send_event(world: World, far: FarEnd, key: str) -> None:
    timestamp = far.timestamp
    for event in event_packets(key, duration_ms=100):
        far.send(
            rtp.pack(96, far.sequence, timestamp, far.ssrc, event.payload, marker=event.marker)
        )
        far.sequence = (far.sequence + 1) & 0xFFFF
        world.run()
    far.timestamp = (timestamp + 8 * 100 + 480) & 0xFFFFFFFF
