"""baresip as the other side: a softphone with its own media, steered over its control port."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from pathlib import Path

from tests.integration import audio
from tests.integration.ports import free_ports
from tests.integration.waiting import until

MODULES = next(
    (
        p
        for p in (Path("/usr/lib/baresip/modules"), Path("/usr/local/lib/baresip/modules"))
        if p.is_dir()
    ),
    Path("/usr/lib/baresip/modules"),
)

_CONFIG = """\
poll_method epoll
sip_listen 127.0.0.1:{sip_port}
call_local_timeout 60
call_max_calls 2
audio_source aufile,{folder}/talk.wav
audio_player aufile,{folder}/unused.wav
audio_alert aufile,/dev/null
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
rtp_ports {rtp_port}-{rtp_last}
jitter_buffer_delay 1-5
module_path {modules}
module g711.so
module aufile.so
module sndfile.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control_port}
snd_path {folder}
"""


class Baresip:
    """One baresip process, its files in `folder`. It answers by itself when called."""

    def __init__(
        self, folder: Path, user: str, codec: str, talk: audio.Samples, account: str = ""
    ) -> None:
        """`account` is a line of baresip's accounts; without one it registers nowhere."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.user = user
        self.codec = codec
        self.sip_port = free_ports()
        self.rtp_port = free_ports(2, align=2)
        control_port = free_ports()
        audio.write_wav(folder / "talk.wav", talk)
        (folder / "config").write_text(
            _CONFIG.format(
                folder=folder,
                modules=MODULES,
                sip_port=self.sip_port,
                rtp_port=self.rtp_port,
                rtp_last=self.rtp_port + 1,
                control_port=control_port,
            )
        )
        account = account or f"<sip:{user}@127.0.0.1:{self.sip_port}>;regint=0;answermode=auto"
        (folder / "accounts").write_text(f"{account};audio_codecs={codec};ptime=20\n")
        with (folder / "screen.log").open("wb") as screen:
            self._process = subprocess.Popen(
                ["baresip", "-f", folder], cwd=folder, stdout=screen, stderr=screen
            )
        control = until(lambda: _connect(control_port), 30, "baresip listens")
        assert control is not None
        self._control = control

    @property
    def screen(self) -> str:
        return (self._folder / "screen.log").read_text("utf-8", errors="replace")

    def dial(self, uri: str) -> None:
        self._command("dial", uri)

    def press(self, key: str) -> None:
        """A key as a telephone event."""
        self._command("sndcode", key)

    def hang_up(self) -> None:
        self._command("hangup")

    def wait_until_established(self, seconds: float = 30) -> None:
        until(lambda: "Call established" in self.screen, seconds, "baresip's call is established")

    def wait_until_ended(self, seconds: float) -> None:
        ended = re.compile(r"terminated \(duration|session closed")
        until(lambda: ended.search(self.screen), seconds, "baresip's call has ended")

    def heard(self) -> audio.Samples:
        """What baresip decoded of what it received, once it is closed."""
        [path] = self._folder.glob("dump-*-dec.wav")
        return audio.read_wav(path)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        self._control.close()

    def _command(self, name: str, parameters: str = "") -> None:
        text = json.dumps({"command": name, "params": parameters, "token": name})
        self._control.sendall(f"{len(text)}:{text},".encode())


def _connect(port: int) -> socket.socket | None:
    try:
        return socket.create_connection(("127.0.0.1", port), timeout=2)
    except OSError:
        return None
