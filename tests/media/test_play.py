"""What a channel plays: sounds that are still being made, and how far each playback got."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.media.world import World, ramp
from vxml_server.audio import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from vxml_server.media import Codec, GrowingSound, Sound
from vxml_server.media.play import FIRST_ROOM, SILENCE, Playback, PlayQueue
from vxml_server.media.stream import FRAME

CODERS = {Codec.PCMU: (encode_ulaw, decode_ulaw), Codec.PCMA: (encode_alaw, decode_alaw)}


def test_a_growing_sound_is_played_while_it_is_made() -> None:
    sound = GrowingSound(ramp(FRAME))
    queue = PlayQueue()
    queue.append(Playback(sound))
    assert np.array_equal(queue.take_linear(), ramp(FRAME))
    sound.append(ramp(2 * FRAME)[FRAME:])
    sound.finish()
    assert np.array_equal(queue.take_linear(), ramp(2 * FRAME)[FRAME:])
    assert [ended.finished for ended in queue.ended] == [True]
    assert queue.underruns == 0


def test_what_is_not_made_in_time_is_silence_and_nothing_is_left_out() -> None:
    sound = GrowingSound(ramp(100))
    queue = PlayQueue()
    queue.append(Playback(sound))
    first = queue.take_linear()
    assert np.array_equal(first, np.concatenate([ramp(100), np.zeros(60, np.int16)]))
    assert not queue.take_linear().any()
    assert queue.underruns == 2
    assert bytes(queue.take(Codec.PCMU)) == SILENCE[Codec.PCMU]
    sound.append(ramp(300)[100:])
    assert np.array_equal(queue.take_linear(), ramp(260)[100:])
    assert not queue.ended


def test_the_next_sound_waits_for_the_end_of_one_that_grows() -> None:
    growing = GrowingSound(ramp(FRAME))
    queue = PlayQueue()
    queue.append(Playback(growing))
    queue.append(Playback(Sound(np.full(FRAME, 7, np.int16))))
    queue.take_linear()
    assert not queue.take_linear().any()
    growing.append(ramp(10))
    growing.finish()
    last = queue.take_linear()
    assert np.array_equal(last[:10], ramp(10))
    assert (last[10:] == 7).all()


def test_a_growing_sound_that_stays_empty_ends_when_it_is_finished() -> None:
    growing = GrowingSound()
    queue = PlayQueue()
    queue.append(Playback(growing))
    assert not queue.take_linear().any()
    assert not queue.ended
    growing.finish()
    queue.take_linear()
    assert [(ended.samples_played, ended.finished) for ended in queue.ended] == [(0, True)]


def test_nothing_is_added_to_a_finished_sound() -> None:
    growing = GrowingSound()
    growing.finish()
    growing.finish()
    with pytest.raises(ValueError):
        growing.append(ramp(1))


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("prepared", ["before", "half way", "never"])
def test_a_growing_sound_is_encoded_as_it_grows(codec: Codec, prepared: str) -> None:
    whole = ramp(3 * FIRST_ROOM)
    growing = GrowingSound()
    if prepared == "before":
        growing.prepare(codec)
    for start in range(0, len(whole), 5000):
        growing.append(whole[start : start + 5000])
        if prepared == "half way" and start > len(whole) // 2:
            growing.prepare(codec)
    growing.finish()
    octets = bytes(growing.octets(codec, 0, len(growing)))
    assert octets == CODERS[codec][0](whole).tobytes()
    assert np.array_equal(growing.samples(0, len(growing)), whole)


def test_frames_that_were_taken_stay_as_they_were_when_the_sound_needs_more_room() -> None:
    growing = GrowingSound(ramp(FRAME * 2))
    growing.prepare(Codec.PCMU)
    queue = PlayQueue()
    queue.append(Playback(growing))
    frame = queue.take(Codec.PCMU)
    before = bytes(frame)
    growing.append(np.zeros(10 * FIRST_ROOM, np.int16))
    assert bytes(frame) == before


@given(
    st.lists(
        st.one_of(st.integers(0, 500), st.sampled_from(["take", "take", "finish"])), max_size=40
    )
)
def test_every_sample_is_heard_once_and_in_order(steps: list[int | str]) -> None:
    """Whatever the maker and the player do between each other."""
    growing, made, heard = GrowingSound(), 0, []
    queue = PlayQueue()
    playback = Playback(growing)
    queue.append(playback)
    for step in steps:
        if step == "finish":
            growing.finish()
        elif step == "take":
            before = queue.progress(playback)
            frame = queue.take_linear()
            heard.append(frame[: queue.progress(playback) - before])
        elif not growing.is_complete:
            assert isinstance(step, int)
            growing.append(np.arange(made + 1, made + step + 1).astype(np.int16))
            made += step
    played = np.concatenate([np.zeros(0, np.int16), *heard])
    assert np.array_equal(played, np.arange(1, len(played) + 1))
    assert len(played) == queue.progress(playback) <= made


# How far a playback got


def test_progress_counts_the_samples_of_each_playback_in_the_queue() -> None:
    queue = PlayQueue()
    first, second = Playback(Sound(ramp(200))), Playback(Sound(ramp(400)))
    queue.append(first)
    queue.append(second)
    assert (queue.progress(first), queue.progress(second)) == (0, 0)
    queue.take(Codec.PCMU)
    assert (queue.progress(first), queue.progress(second)) == (160, 0)
    queue.take(Codec.PCMU)
    assert (queue.progress(first), queue.progress(second)) == (200, 120)
    queue.stop()
    assert (queue.progress(first), queue.progress(second)) == (200, 120)


def test_progress_of_what_was_stopped_is_what_was_heard_of_it() -> None:
    queue = PlayQueue()
    first, second = Playback(Sound(ramp(400))), Playback(Sound(ramp(400)))
    for playback in (first, second):
        queue.append(playback)
    for _ in range(2):
        queue.take(Codec.PCMU)
    queue.stop(unsent=FRAME)
    assert (queue.progress(first), queue.progress(second)) == (160, 0)


# On a channel


@pytest.mark.parametrize("codec", list(Codec))
def test_a_channel_sends_a_sound_while_it_is_made_and_counts_what_was_not_there(
    codec: Codec,
) -> None:
    world = World()
    channel, heard, far = world.call(codec=codec)
    sound = GrowingSound(ramp(2 * FRAME))
    playback = channel.play(sound)
    world.run(2)
    assert channel.progress(playback) == 2 * FRAME
    world.run(3)
    assert channel.progress(playback) == 2 * FRAME
    assert world.engine.statistics().underruns == 3
    sound.append(ramp(3 * FRAME)[2 * FRAME :])
    sound.finish()
    world.run(2)
    encode, decode = CODERS[codec]
    gap = np.zeros(3 * FRAME, np.int16)
    sent = np.concatenate([ramp(2 * FRAME), gap, ramp(3 * FRAME)[2 * FRAME :]])
    got = far.audio(codec)
    assert np.array_equal(got[: len(sent)], decode(encode(sent)))
    assert heard.ended == [(playback, 3 * FRAME, True)]
    channel.close()
    world.run()
    assert world.engine.statistics().underruns == 3


def test_a_sound_that_is_stopped_while_it_is_made_is_told_with_what_was_sent() -> None:
    world = World()
    channel, heard, far = world.call()
    sound = GrowingSound(ramp(5 * FRAME))
    playback = channel.play(sound)
    world.run(4)
    channel.stop_playing()
    world.run(1)
    assert heard.ended == [(playback, 4 * FRAME, False)]
    assert channel.progress(playback) == 4 * FRAME
    sound.append(ramp(FRAME))
    world.run(3)
    assert not far.audio()[4 * FRAME :].any()
