"""A caller with an agent: who hears whom, what is recorded, and what ends it.

The rules that must hold: a telephone is the caller's from the moment it is `expected` until it is
let go, so that nobody else is bridged with him meanwhile; however the conversation ends, the agent
does not hear him any more. What is recorded begins and ends with the bridge, whatever of that is
still to be stored.
"""

from __future__ import annotations

from datetime import datetime

from vxml_server.calls import Ended, Ending, EndingInput, Handover, KeyPressed, Recorded
from vxml_server.interpreter import Recognition, TransferRequest, TransferResult
from vxml_server.queues.reception import AgentTelephone, Reception
from vxml_server.queues.rows import Offer
from vxml_server.queues.telephony import Mode, Telephone

HANGUP = "connection.disconnect.hangup"


class Conversation:
    """One caller's, with one agent after the other.

    `expect` a telephone, `bridge` it, `run` until the conversation ends, and `leave` it if the
    caller is to wait again.
    """

    def __init__(self, reception: Reception, handover: Handover, request: TransferRequest) -> None:
        self._engine = reception.engine
        self._clock = reception.clock
        self._caller = handover.leg
        self._ear = handover.ear
        self._request = request
        self._telephone: AgentTelephone | None = None
        self._ending = EndingInput(reception.clock, handover.ear, request)
        self._began: float | None = None
        self._talked = 0.0
        self.answered_at: datetime | None = None
        """When the last agent and he began to talk."""
        self._answered_before: datetime | None = None
        self.is_parted = False
        """Whether the agent has left, or was taken out of it."""
        self.recorded: Recorded | None = None
        """The recording of all his conversations, if there is one."""

    @property
    def has_agent(self) -> bool:
        """Whether an agent who has answered has him, or is about to."""
        return self._telephone is not None

    @property
    def talked(self) -> float:
        """Seconds that he has talked with agents, without those that he waited between them."""
        now = self._clock.monotonic()
        return self._talked + (0.0 if self._began is None else now - self._began)

    # Who hears whom ----------------------------------------------------------------------------

    def expect(self, telephone: Telephone) -> None:
        """An agent has answered, and is bridged as soon as the caller hears nothing else."""
        assert isinstance(telephone, AgentTelephone), "what was rung by us"
        self._telephone = telephone

    def forget(self) -> None:
        """The agent who was expected is not bridged."""
        self._telephone = None

    def bridge(self, offer: Offer) -> None:
        """Lets the two hear each other; what they say is recorded, if it is to be."""
        assert self._telephone is not None, "he is expected"
        # What was pressed for the document is not meant for the agent.
        self._caller.events.take_keys()
        self._telephone.talk_to(self._caller, self.recorded.key if self.recorded else None)
        agent = self._telephone.leg
        self._engine.bridge(self._caller.channel, agent.channel)
        self._answered_before, self.answered_at = self.answered_at, self._clock.utc_now()
        self._began = self._clock.monotonic()
        if self.recorded is not None and agent.end is None:
            self.recorded.agent(offer.agent, {"entry": offer.entry})
            self.recorded.start(self._caller.channel, agent.channel)

    def unbridge(self) -> None:
        """They do not hear each other any more, if they did."""
        if self._telephone is not None:
            self._engine.unbridge(self._caller.channel)

    def disconnect(self) -> None:
        """Parts the two before they have been served; the telephone is not his any more."""
        assert self._telephone is not None, "he is bridged"
        if self.recorded is not None:
            self.recorded.stop()
        self._engine.unbridge(self._caller.channel)
        self._telephone.talk_to(None)
        self._telephone = None
        self._began, self.answered_at = None, self._answered_before

    def oversee(self, telephone: Telephone | None, mode: Mode) -> None:
        """As `Caller.oversee`."""
        engine, caller = self._engine, self._caller.channel
        if self._telephone is None or self.is_parted:
            engine.unbridge(caller)
            return
        agent = self._telephone.leg.channel
        both = {caller: [agent], agent: [caller]}
        if telephone is None:
            engine.mix(both, keys=both)
            return
        assert isinstance(telephone, AgentTelephone), "what was rung by us"
        third = telephone.leg.channel
        hears = {
            caller: [agent, third] if mode is Mode.BARGE else [agent],
            agent: [caller] if mode is Mode.LISTEN else [caller, third],
            third: [caller, agent],
        }
        engine.mix(hears, keys=both)

    # From the bridge to the end ----------------------------------------------------------------

    def parted(self) -> None:
        """The agent has left, or was taken out of it."""
        self.is_parted = True
        self._caller.events.nudge()

    async def run(self) -> TransferResult:
        """What ends it: either of the two, the caller's keys or words, or the longest time.

        Raises `VoiceXmlEvent` when a tag of a grammar that ends it fails.
        """
        assert self._telephone is not None and self._began is not None, "they are bridged"
        agent = self._telephone.leg
        self._ending.overhear()
        limit = self._request.max_time
        deadline = self._began + limit if limit > 0 else None
        while True:
            if self._caller.end is not None:
                return self._over(HANGUP)
            if self.is_parted:
                is_lost = isinstance(agent.end, Ended) and agent.end.ending is Ending.FAILURE
                return self._over("network_disconnect" if is_lost else "far_end_disconnect")
            if (found := self._ending.expire()) is not None:
                return self._over("near_end_disconnect", found)
            if deadline is not None and self._clock.monotonic() >= deadline:
                return self._over("maxtime_disconnect")
            limits = [one for one in (deadline, self._ending.deadline) if one is not None]
            event = await self._caller.events.get(min(limits, default=None))
            if event is None:
                continue
            if (found := self._ending.take(event)) is not None:
                return self._over("near_end_disconnect", found)
            if isinstance(event, KeyPressed) and event.source == "info":
                agent.send_key(event.key)

    def _over(self, outcome: str, recognition: Recognition | None = None) -> TransferResult:
        return TransferResult(outcome, self.talked, recognition)

    def leave(self) -> None:
        """He is as he was before it."""
        self._talked, self._began = self.talked, None
        if self.recorded is not None:
            self.recorded.stop()
        self._engine.unbridge(self._caller.channel)
        self._telephone = None
        self.is_parted = False
        self._ending.close()
        self._ending = EndingInput(self._clock, self._ear, self._request)

    def close(self) -> None:
        """Nothing is heard or recorded any more."""
        self._ending.close()
        if self.recorded is not None:
            self.recorded.close()
