"""One wait for voice, whatever caller, engine and owner do."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.asr.scripted import (
    QUIET,
    SOUND,
)
from tests.asr.waits import DIGITS, LEFT, World
from tests.examples import examples
from vxml_server.asr import (
    Attention,
    SpeechBegan,
    SpeechPassedOver,
    VoiceEnding,
    VoiceFailed,
    VoiceRefused,
    VoiceRequest,
    VoiceResult,
)


class Listener(RuleBasedStateMachine):
    """A caller, an engine and an owner of the wait who do as they please."""

    @initialize(
        seconds=st.sampled_from([0.0, 0.05, 0.7, 3.0]),
        attention=st.sampled_from(Attention),
        complete=st.sampled_from([0.0, 0.3, 2.0]),
        incomplete=st.sampled_from([0.0, 0.3, 1.0]),
    )
    def begin(
        self, seconds: float, attention: Attention, complete: float, incomplete: float
    ) -> None:
        self.world = World(seconds=seconds, deadline=60.0, recognitions=2, waiting=0)
        self.request = VoiceRequest(
            (LEFT, DIGITS),
            "en",
            complete_timeout=complete,
            incomplete_timeout=incomplete,
            max_speech_timeout=5.0,
        )
        self.wait = self.world.wait(attention=attention, request=self.request)
        self.was_closed_at: int | None = None

    @rule(
        answers=st.lists(
            st.sampled_from(["left", "one two", "one two three four", "good grief", ""]),
            min_size=1,
            max_size=3,
        ),
        confidence=st.sampled_from([0.2, 0.9]),
    )
    def hears(self, answers: list[str], confidence: float) -> None:
        self.world.engine.hear(*answers, confidence=confidence)

    @rule()
    def breaks(self) -> None:
        self.world.engine.hear(ValueError("broken"))

    @rule(count=st.integers(1, 60))
    def speaks(self, count: int) -> None:
        self.wait.hear([SOUND] * count)

    @rule(count=st.integers(1, 120))
    def pauses(self, count: int) -> None:
        self.wait.hear([QUIET] * count)

    @rule(attention=st.sampled_from(Attention))
    def attends(self, attention: Attention) -> None:
        self.wait.listening.attend(attention)

    @precondition(lambda self: self.was_closed_at is None)
    @rule()
    def closes(self) -> None:
        self.wait.listening.close()
        self.was_closed_at = len(self.wait.told)

    @invariant()
    def at_most_one_end_and_nothing_after_it(self) -> None:
        if not hasattr(self, "wait"):
            return
        ends = (VoiceResult, VoiceRefused, VoiceFailed)
        places = [i for i, event in enumerate(self.wait.events) if isinstance(event, ends)]
        assert places in ([], [len(self.wait.events) - 1])
        if places:
            assert not self.wait.listening.is_speaking
        if self.was_closed_at is not None:
            assert len(self.wait.told) == self.was_closed_at

    @invariant()
    def what_ends_or_is_passed_over_has_begun(self) -> None:
        if not hasattr(self, "wait"):
            return
        speaking = False
        for event in self.wait.events:
            if isinstance(event, SpeechBegan):
                speaking = True
            elif isinstance(event, SpeechPassedOver | VoiceResult):
                assert speaking
                speaking = False

    @invariant()
    def results_keep_to_the_timeouts(self) -> None:
        if not hasattr(self, "wait"):
            return
        for at, event in self.wait.told:
            if isinstance(event, VoiceResult) and event.ending is not VoiceEnding.MAX_SPEECH:
                least = min(self.request.complete_timeout, self.request.incomplete_timeout)
                assert at - event.ended >= least - 1e-6
                assert event.began < event.ended
                assert event.audio[-160 * 10 :].size

    @invariant()
    def only_what_is_being_said_has_a_place(self) -> None:
        if not hasattr(self, "wait"):
            return
        utterances = self.world.engine.utterances
        assert sum(not utterance.is_closed for utterance in utterances) <= 2

    def teardown(self) -> None:
        if not hasattr(self, "wait"):
            return
        self.wait.listening.close()
        self.world.clock.advance(100)
        assert self.world.recogniser.pool.active == 0
        assert self.world.recogniser.pool.waiting == 0
        assert all(utterance.is_closed for utterance in self.world.engine.utterances)


Listener.TestCase.settings = settings(
    max_examples=examples(25), stateful_step_count=20, deadline=None
)

TestListener = Listener.TestCase
