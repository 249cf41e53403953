"""What commands may read: whatever the person who types them may."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vxml_server.fetch import Fetcher


def open_fetcher() -> Fetcher:
    """A fetcher for one's own machine: whoever types the command may read what it can reach."""
    from vxml_server.clock import SystemClock  # noqa: PLC0415 (slow)
    from vxml_server.fetch import Fetcher  # noqa: PLC0415 (slow)
    from vxml_server.settings import FetchSettings  # noqa: PLC0415 (slow)

    everything = FetchSettings(files=(Path(Path.cwd().anchor),), allow=("*",))
    return Fetcher(everything, SystemClock())
