"""When to record: `[[recording.rules]]`, the first that fits decides.

The rule that must hold: what is decided depends on nothing but the arguments, so that it can be
tested, and told afterwards why a conversation was recorded.
"""

from __future__ import annotations

from collections.abc import Sequence

from vxml_server.calls import Conversation
from vxml_server.settings import RecordingRule


def decide(
    rules: Sequence[RecordingRule], conversation: Conversation, draw: float
) -> RecordingRule | None:
    """The rule by which a conversation is recorded; None if it is not.

    `draw` is a random number from 0 up to 1, the same for all decisions on one conversation. While
    it is not known which agent of a queue will answer, a rule for some of them fits: the notice has
    to be played in time, and the decision is made again when he has answered. That such a rule does
    not record decides nothing: another agent may answer, for whom one of those after it holds.
    """
    for rule in rules:
        if not _fits(rule, conversation):
            continue
        if draw * 100 < rule.percent:
            return rule
        if not (rule.agents and _is_open(conversation)):
            return None
    return None


def _is_open(conversation: Conversation) -> bool:
    """Whether it is to be seen which agent will answer."""
    return bool(conversation.queue) and not conversation.agent


def _fits(rule: RecordingRule, conversation: Conversation) -> bool:
    numbers = (conversation.called, conversation.number, conversation.destination)
    return (
        (not rule.direction or rule.direction == conversation.direction)
        and _among(rule.numbers, *numbers)
        and _among(rule.applications, conversation.application)
        and (not rule.queues or conversation.queue in rule.queues)
        and (not rule.agents or _is_open(conversation) or conversation.agent in rule.agents)
    )


def _among(patterns: Sequence[str], *texts: str) -> bool:
    """Whether a text is one of the patterns, of which a final `*` makes a prefix."""
    return not patterns or any(
        text == pattern or (pattern.endswith("*") and text.startswith(pattern[:-1]))
        for pattern in patterns
        for text in texts
    )
