"""Boxes by what they are found by: of the definitions, as they are at the moment.

The rule that must hold: of several that fit, all workers find the same, the first by name.
"""

from __future__ import annotations

from collections.abc import Mapping

from vxml_server.queues import Board, Box


class Directory:
    """The boxes that a board knows."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._seen: Mapping[str, Box] | None = None
        self._by_name: dict[str, Box] = {}
        self._by_queue: dict[str, Box] = {}
        self._by_agent: dict[str, Box] = {}
        self._by_number: dict[str, Box] = {}

    @property
    def boxes(self) -> Mapping[str, Box]:
        """All of them, in the order of their names."""
        self._look()
        return self._by_name

    def of_queue(self, queue: str) -> Box | None:
        self._look()
        return self._by_queue.get(queue)

    def of_agent(self, agent: str) -> Box | None:
        self._look()
        return self._by_agent.get(agent)

    def of_number(self, number: str) -> Box | None:
        """The box whose `number` is that; one without a number has its name, if that is digits."""
        self._look()
        return self._by_number.get(number)

    def _look(self) -> None:
        """Reads the definitions when they are others."""
        boxes = self._board.boxes
        if boxes is self._seen:
            return
        self._seen = boxes
        self._by_name = dict(sorted(boxes.items()))
        self._by_queue, self._by_agent, self._by_number = {}, {}, {}
        for box in self._by_name.values():
            for key, index in (
                (box.queue, self._by_queue),
                (box.agent, self._by_agent),
                (box.number or _digits(box.name), self._by_number),
            ):
                if key:
                    index.setdefault(key, box)


def _digits(name: str) -> str:
    return name if name.isascii() and name.isdigit() else ""
