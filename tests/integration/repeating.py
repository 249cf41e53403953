"""A network that delivers more than once."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self

from tests.integration.ports import free_ports


class RepeatingNetwork:
    """A UDP way to 127.0.0.1:`target` that delivers each datagram `copies` times, and takes each
    answer back once, to where the last datagram came from: for one caller at a time.

    `delivered` are the datagrams that came, each once.
    """

    def __init__(self, target: int, copies: int) -> None:
        self.delivered: list[bytes] = []
        self.port = free_ports()
        self._target = ("127.0.0.1", target)
        self._copies = copies
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", self.port))
        self._thread = threading.Thread(target=self._carry, name="repeating network")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.sendto(b"", self._socket.getsockname())  # ends the thread
        self._thread.join()
        self._socket.close()

    def _carry(self) -> None:
        caller = self._target
        while True:
            data, source = self._socket.recvfrom(65_536)
            if not data:
                return
            if source == self._target:
                self._socket.sendto(data, caller)
                continue
            caller = source
            self.delivered.append(data)
            for _ in range(self._copies):
                self._socket.sendto(data, self._target)
