"""Recordings in object storage: a server that speaks S3 over HTTP, and checks signatures.

It is moto, in this process, so that it keeps what it has while it does not answer.
"""

from __future__ import annotations

import io
import json
import logging
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import soundfile
from moto.server import ThreadedMotoServer

from tests.integration import audio
from tests.integration.caller import Caller
from tests.integration.documents import DocumentServer
from tests.integration.ports import free_ports
from tests.integration.server import Json, VxmlServer
from tests.integration.waiting import until
from tests.integration.wire import Wire
from tests.integration.witness import Witness

BUCKET, FOLDER = "calls", "kept"
MAY_DO_ALL = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": "*"}],
}
SETTINGS = """\
[recording]
target = "s3://{bucket}/{folder}"

[recording.target_options]
key = "{key}"
secret = "{secret}"
endpoint_url = "{endpoint}"

[[recording.rules]]
name = "all"

[[recording.keys]]
id = "one"
key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
"""


class ObjectStorage:
    """The stand-in, with one bucket and one user, whose signature it wants to see."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._port = free_ports()
        self.endpoint = f"http://127.0.0.1:{self._port}"
        self._server: ThreadedMotoServer | None = None
        self.start()
        self._client("s3", "root", "root").create_bucket(Bucket=BUCKET)
        users = self._client("iam", "root", "root")
        users.create_user(UserName="recorder")
        users.put_user_policy(
            UserName="recorder", PolicyName="all", PolicyDocument=json.dumps(MAY_DO_ALL)
        )
        given = users.create_access_key(UserName="recorder")["AccessKey"]
        self.key, self.secret = str(given["AccessKeyId"]), str(given["SecretAccessKey"])
        # From the next request on.
        self._moto("reset-auth", b"0")

    def start(self) -> None:
        """Answers; harmless if it does."""
        if self._server is None:
            self._server = ThreadedMotoServer("127.0.0.1", self._port, verbose=False)
            self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def close(self) -> None:
        """Forgets everything, and checks nobody any more."""
        self._moto("reset-auth", b"inf")
        self._moto("reset", b"")
        self.stop()

    def objects(self) -> dict[str, bytes]:
        """All that is in the bucket."""
        s3 = self._client("s3", self.key, self.secret)
        names = [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())]
        return {name: s3.get_object(Bucket=BUCKET, Key=name)["Body"].read() for name in names}

    def settings(self, secret: str = "") -> str:
        return SETTINGS.format(
            bucket=BUCKET,
            folder=FOLDER,
            key=self.key,
            secret=secret or self.secret,
            endpoint=self.endpoint,
        )

    def _client(self, service: str, key: str, secret: str) -> Any:
        # boto3 makes its clients while it runs: they have no type, hence Any.
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
        )

    def _moto(self, what: str, body: bytes) -> None:
        uri = f"{self.endpoint}/moto-api/{what}"
        headers = {"Content-Type": "text/plain"}
        request = urllib.request.Request(uri, body, headers, method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200


@pytest.fixture
def storage() -> Iterator[ObjectStorage]:
    storage = ObjectStorage()
    try:
        yield storage
    finally:
        storage.start()
        storage.close()


def recording_of(server: VxmlServer) -> Json:
    found = server.ask("GET", "recordings")["recordings"]
    assert isinstance(found, list)
    [one] = found
    assert isinstance(one, dict)
    return one


def test_a_recording_stays_in_the_spool_until_object_storage_has_confirmed_it(
    storage: ObjectStorage,
    documents: DocumentServer,
    wire: Wire,
    witness: Witness,
    tmp_path: Path,
) -> None:
    for name in ("server", "calls"):
        (tmp_path / name).mkdir()
    server = VxmlServer(
        tmp_path / "server",
        {"to-s3": documents.uri("transfer.vxml?type=bridge&maxtime=60s&far=s3")},
        (documents.origin,),
        more_settings=storage.settings(secret="guessed"),
    )
    caller = Caller(server, documents, wire, witness, tmp_path / "calls")

    def spooled() -> list[Path]:
        spool = tmp_path / "server" / "var" / "recording"
        return [path for path in spool.rglob("*") if path.suffix in {".part", ".sealed"}]

    def state() -> object:
        return recording_of(server)["state"]

    try:
        # It is not let in.
        server.start()
        with caller.far_end("s3", "far-hangs-up", "-rtp_echo", "-d", "1500") as far:
            caller.call("s3", "to-s3", (audio.sines((450.0,), 20.0, -20.0),))
            far.result(10).assert_success()
        until(lambda: "a recording waits in the spool" in server.log, 60, "it is refused")
        assert "PermissionError" in server.log
        assert state() == "stopped"
        assert spooled()
        assert storage.objects() == {}
        server.stop()
        server.close()

        # It is let in, and nobody is there.
        storage.stop()
        server.more_settings = storage.settings()
        server.start()
        until(lambda: "a recording waits in the spool" in server.log, 60, "nobody answers")
        assert state() == "stopped"
        assert spooled()

        # Somebody is there again.
        storage.start()
        until(lambda: state() == "stored", 60, "it is stored")
        until(lambda: not spooled(), 10, "it has left the spool")
        recording = recording_of(server)
        [(name, stored)] = storage.objects().items()
        assert name.startswith(f"{FOLDER}/")
        assert str(recording["id"]) in name
        assert b"fLaC" not in stored, "it is encrypted"

        path = f"/api/v1/recordings/{recording['id']}"
        whole = server.octets(f"{path}/audio")
        assert len(whole) == recording["octets"]
        sound, _ = soundfile.read(io.BytesIO(whole), dtype="int16")
        assert len(sound) / audio.RATE == pytest.approx(recording["duration_s"], abs=0.001)
        assert audio.dominant_frequency(sound[4000:8000, 0]) == pytest.approx(450, abs=5)
        for start, end in ((0, 99), (1000, 9_999), (len(whole) - 500, len(whole) - 1)):
            assert server.octets(f"{path}/audio", f"bytes={start}-{end}") == whole[start : end + 1]

        # Nothing is left of it when it is deleted.
        status, text = server.request("DELETE", f"{path}?reason=asked")
        assert status in {200, 204}, text
        assert storage.objects() == {}
        assert state() == "deleted"
        server.stop()
    finally:
        caller.close()
        server.close()
