"""Who hears whom in bridges of several, sample by sample, over a network in memory."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.examples import examples
from tests.media.world import FarEnd, Heard, World, press, sine
from vxml_server.media import Channel, Codec
from vxml_server.media.mixing import KNEE, limited
from vxml_server.media.play import DECODE, ENCODE
from vxml_server.media.stream import FRAME

SPOKEN = 40
"""Ticks of speech."""
FULL = 32767


class Party:
    """A telephone with a tone of its own."""

    def __init__(self, world: World, number: int, level: float = 4000.0) -> None:
        self.channel: Channel
        self.heard: Heard
        self.far: FarEnd
        self.channel, self.heard, self.far = world.call(5000 + 2 * number)
        self.voice = sine(SPOKEN * 0.02, 300.0 + 450.0 * number, level)

    @property
    def said(self) -> NDArray[np.int16]:
        """What of its voice arrives here: G.711 has rounded it."""
        return through(self.voice)


def through(pcm: NDArray[np.int16]) -> NDArray[np.int16]:
    return DECODE[Codec.PCMU](ENCODE[Codec.PCMU](pcm))


def speak(world: World, parties: list[Party]) -> None:
    """All speak at once, 20 ms a tick, and then there is silence until all of it has been heard."""
    for place in range(0, SPOKEN * FRAME, FRAME):
        for party in parties:
            frame = ENCODE[Codec.PCMU](party.voice[place : place + FRAME]).tobytes()
            party.far.send(party.far.packet(frame))
        world.run()


def parties(
    number: int, *, level: float = 4000.0, mute_keys: bool = False
) -> tuple[World, list[Party]]:
    world = World(mute_keys=mute_keys)
    return world, [Party(world, place, level) for place in range(number)]


def join(world: World, who: list[Party], hears: Mapping[int, tuple[int, ...]]) -> None:
    world.engine.mix(
        {
            who[one].channel: [who[other].channel for other in others]
            for one, others in hears.items()
        }
    )


def expected(who: list[Party], others: tuple[int, ...]) -> NDArray[np.int16]:
    total = sum((who[other].said.astype(np.int32) for other in others), np.zeros(SPOKEN * FRAME))
    return through(limited(np.asarray(total, np.int32)))


def got(party: Party) -> NDArray[np.int16]:
    """The jitter buffer's delay is two ticks."""
    return party.far.audio()


def assert_hears(who: list[Party], one: int, others: tuple[int, ...]) -> None:
    audio, wanted = got(who[one]), expected(who, others)
    lags = [lag for lag in range(0, 5 * FRAME, FRAME) if lag <= len(audio)]
    assert any(np.array_equal(audio[lag:], wanted[: len(audio) - lag]) for lag in lags), (
        f"{one} does not hear {others}"
    )


MATRICES: list[dict[int, tuple[int, ...]]] = [
    {0: (1,), 1: (0,)},
    {0: (1,), 1: (0,), 2: (0, 1)},
    {0: (1,), 1: (0, 2), 2: (0, 1)},
    {0: (1, 2), 1: (0, 2), 2: (0, 1)},
    {0: (), 1: (0,)},
    {0: (1, 2, 3), 1: (0, 2, 3), 2: (), 3: (0,)},
]


@pytest.mark.parametrize("hears", MATRICES)
def test_each_hears_the_sum_of_those_it_is_given_and_nothing_else(
    hears: dict[int, tuple[int, ...]],
) -> None:
    world, who = parties(4)
    join(world, who, hears)
    speak(world, who)
    for one in range(4):
        assert_hears(who, one, hears.get(one, ()))


@settings(max_examples=examples(40))
@given(
    st.dictionaries(
        st.integers(0, 5), st.frozensets(st.integers(0, 5), max_size=5), min_size=2, max_size=6
    )
)
def test_any_matrix_is_heard_as_it_is(matrix: dict[int, frozenset[int]]) -> None:
    hears = {one: tuple(sorted((others & matrix.keys()) - {one})) for one, others in matrix.items()}
    world, who = parties(6)
    join(world, who, hears)
    speak(world, who)
    for one in range(6):
        assert_hears(who, one, hears.get(one, ()))


def test_bridges_beside_each_other_do_not_hear_each_other() -> None:
    world, who = parties(7)
    join(world, who, {0: (1, 2), 1: (0, 2), 2: (0, 1)})
    join(world, who, {3: (4,), 4: (3,)})
    join(world, who, {5: (6,), 6: (5,)})
    speak(world, who)
    for one, others in enumerate(((1, 2), (0, 2), (0, 1), (4,), (3,), (6,), (5,))):
        assert_hears(who, one, others)


def test_who_is_joined_by_a_third_misses_no_sample() -> None:
    world, who = parties(3)
    caller, agent, supervisor = who
    join(world, who, {0: (1,), 1: (0,)})
    frames = ENCODE[Codec.PCMU](caller.voice).tobytes()
    for tick in range(SPOKEN):
        caller.far.send(caller.far.packet(frames[tick * FRAME : (tick + 1) * FRAME]))
        if tick == 10:
            join(world, who, {0: (1,), 1: (0,), 2: (0, 1)})
        if tick == 15:
            join(world, who, {0: (1,), 1: (0, 2), 2: (0, 1)})
        if tick == 20:
            supervisor.channel.close()
        if tick == 30:
            join(world, who, {0: (1,), 1: (0,)})
        world.run()
    assert_hears(who, 1, (0,))
    assert [packet.marker for packet in agent.far.packets].count(True) == 1


def test_when_one_of_three_is_closed_the_others_go_on() -> None:
    world, who = parties(3)
    join(world, who, {0: (1,), 1: (0, 2), 2: (0, 1)})
    who[0].channel.close()
    speak(world, who[1:])
    assert_hears(who, 1, (2,))
    assert_hears(who, 2, (1,))


def test_who_is_left_alone_or_out_of_a_new_matrix_hears_nobody() -> None:
    world, who = parties(3)
    join(world, who, {0: (1, 2), 1: (0, 2), 2: (0, 1)})
    join(world, who, {0: (1,), 1: (0,)})
    who[0].channel.close()
    speak(world, who[1:])
    assert_hears(who, 1, ())
    assert_hears(who, 2, ())


def test_ending_a_bridge_ends_it_for_all() -> None:
    world, who = parties(3)
    join(world, who, {0: (1, 2), 1: (0, 2), 2: (0, 1)})
    world.engine.unbridge(who[1].channel)
    speak(world, who)
    for one in range(3):
        assert_hears(who, one, ())


def test_two_who_shout_are_not_clipped() -> None:
    world, who = parties(3, level=30000.0)
    join(world, who, {0: (1, 2), 1: (), 2: ()})
    speak(world, who)
    assert_hears(who, 0, (1, 2))
    sums = who[1].said.astype(np.int32) + who[2].said
    assert np.abs(sums).max() > 1.5 * FULL
    assert np.abs(limited(sums).astype(np.int32)).max() <= FULL


def test_a_playback_is_added_to_the_voices() -> None:
    world, who = parties(3)
    join(world, who, {0: (1, 2), 1: (), 2: ()})
    tone = sine(SPOKEN * 0.02, 2000.0, 2000.0)
    playback = who[0].channel.play(tone)
    world.run(SPOKEN)
    assert np.array_equal(got(who[0])[: len(tone)], through(tone))
    assert who[0].heard.ended == [(playback, len(tone), True)]


@given(st.lists(st.integers(-200_000, 200_000), min_size=2, max_size=50))
def test_the_limit_keeps_order_sign_and_what_is_not_loud(values: list[int]) -> None:
    total = np.array(sorted(values), np.int32)
    out = limited(total).astype(np.int32)
    assert (np.diff(out) >= 0).all()
    assert (np.sign(out) == np.sign(total)).all()
    quiet = np.abs(total) <= KNEE
    assert np.array_equal(out[quiet], total[quiet])
    assert (np.abs(out) <= np.abs(total)).all()
    assert np.array_equal(limited(-total), -limited(total))


def test_keys_pass_to_those_who_are_named_and_to_nobody_else() -> None:
    world, who = parties(3)
    caller, agent, supervisor = who
    world.engine.mix(
        {
            caller.channel: [agent.channel],
            agent.channel: [caller.channel, supervisor.channel],
            supervisor.channel: [caller.channel, agent.channel],
        },
        keys={caller.channel: [agent.channel], agent.channel: [caller.channel]},
    )
    press(world, caller.far, "7")
    press(world, supervisor.far, "4")
    world.run(10)
    assert (caller.heard.pressed, supervisor.heard.pressed) == ("7", "4")
    events = [any(p.payload_type == 101 for p in party.far.packets) for party in who]
    assert events == [False, True, False]


def test_a_matrix_that_cannot_be_is_refused() -> None:
    world, (a, b, c) = parties(3)
    for hears in ({a.channel: [a.channel]}, {a.channel: [b.channel]}):
        with pytest.raises(ValueError):
            world.engine.mix(hears)
    hears = {a.channel: [b.channel], b.channel: [a.channel]}
    with pytest.raises(ValueError):
        world.engine.mix(hears, keys={a.channel: [c.channel]})
    with pytest.raises(ValueError):
        world.engine.mix(hears, keys={c.channel: [a.channel]})


def test_muted_keys_do_not_come_back_when_a_third_joins() -> None:
    world, who = parties(3, mute_keys=True)
    join(world, who, {0: (1,), 1: (0,)})
    world.run(5)
    join(world, who, {0: (1,), 1: (0,), 2: (0, 1)})
    speak(world, who[:1])
    world.run(5)
    for listener in who[1:]:
        audio = got(listener)
        begin = int(np.flatnonzero(np.abs(audio) > 50)[0])
        assert (
            np.abs(audio[begin : begin + 30 * FRAME].reshape(-1, FRAME)).max(axis=1) > 1000
        ).all()
