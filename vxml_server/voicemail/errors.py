"""What can be wrong with a message, or with what is asked of one."""

from __future__ import annotations


class NoSuchBox(Exception):
    """There is no box of this name."""


class NoSuchMessage(Exception):
    """There is no message of this id, or not any more."""


class BoxFull(Exception):
    """The box has as many messages as it may."""


class TooShort(Exception):
    """What was said is shorter than a message of the box is."""


class BadAudio(Exception):
    """What was brought is no audio; the text says why."""
