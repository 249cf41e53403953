from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Network, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vxml_server.settings import Listen, Settings, SettingsError, load

CONTRACT = """\
drain_seconds = 12

[sip]
listen = ["udp://127.0.0.1:5060", "tcp://127.0.0.1:5060"]   # also tls:// and ws://, wss://
trusted = ["127.0.0.1/32"]

[media]
address = "127.0.0.1"
ports = "20000-29999"

[web]
listen = "http://127.0.0.1:8080"

[store]
url = "sqlite+aiosqlite:///var/vxml-server.db"

[[numbers]]
number = "1000"
application = "http://127.0.0.1:8080/apps/bank/fr/index.vxml"

[[numbers]]
number = "+331*"
application = "apps/hours/fr/index.vxml"

[dial]
allow = ["sip:*@127.0.0.1"]
"""

Refusal = Callable[..., str]


@pytest.fixture
def refusal(tmp_path: Path) -> Refusal:
    """What `load` says about a text, without the folder of the file."""

    def refuse(text: str | bytes, **environ: str) -> str:
        path = tmp_path / "server.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(SettingsError) as caught:
            load(path, environ)
        return str(caught.value).replace(f"{tmp_path}/", "")

    return refuse


def loaded(tmp_path: Path, text: str, **environ: str) -> Settings:
    path = tmp_path / "server.toml"
    path.write_text(text)
    return load(path, environ)


def test_the_file_of_the_contract_is_read_as_it_says(tmp_path: Path) -> None:
    settings = loaded(tmp_path, CONTRACT)
    assert settings.drain_seconds == 12
    assert settings.sip.listen == (
        Listen("udp", "127.0.0.1", 5060),
        Listen("tcp", "127.0.0.1", 5060),
    )
    assert settings.sip.trusted == (ip_network("127.0.0.1/32"),)
    assert settings.media.ports == range(20000, 30000)
    assert str(settings.web.listen) == "http://127.0.0.1:8080"
    assert [rule.number for rule in settings.numbers] == ["1000", "+331*"]
    assert settings.dial.allow == ("sip:*@127.0.0.1",)


def test_an_empty_file_is_closed_by_default(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "")
    assert not settings.media.mute_keys
    assert settings.sip.trusted == ()
    assert settings.dial.allow == ()
    assert settings.fetch.allow == ()
    assert settings.web.token is None
    assert all(listen.is_loopback for listen in (*settings.sip.listen, settings.web.listen))


def test_without_a_file_the_sample_applications_have_numbers() -> None:
    settings = load(None, {})
    numbers = {rule.number: rule.application for rule in settings.numbers}
    assert numbers["1000"] == f"{settings.web.listen}/apps/bank/fr/index.vxml"
    assert set(numbers) == {str(n) for first in range(1000, 1070, 10) for n in (first, first + 1)}
    assert str(settings.web.listen) in settings.fetch.allow


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        CONTRACT,
        VXML_SERVER_DRAIN_SECONDS="1.5",
        VXML_SERVER_WEB__LISTEN="http://0.0.0.0:80",
        VXML_SERVER_SIP__LISTEN="udp://[::1]:5070, tcp://10.0.0.1",
        VXML_SERVER_SIP__TRUSTED='["10.0.0.0/8", "fd00::/8"]',
        VXML_SERVER_LOG__JSON="true",
        VXML_SERVER_NUMBERS='[{"number": "*", "application": "x.vxml"}]',
        HOME="/root",
    )
    assert settings.drain_seconds == 1.5
    assert settings.web.listen == Listen("http", "0.0.0.0", 80)
    assert settings.sip.listen == (Listen("udp", "::1", 5070), Listen("tcp", "10.0.0.1", 5060))
    assert settings.sip.trusted == (ip_network("10.0.0.0/8"), IPv6Network("fd00::/8"))
    assert settings.log.as_json is True
    assert [rule.number for rule in settings.numbers] == ["*"]
    assert settings.media.ports == range(20000, 30000)


def test_keys_can_be_muted(tmp_path: Path) -> None:
    assert loaded(tmp_path, "[media]\nmute_keys = true\n").media.mute_keys


def test_secrets_come_from_the_environment_and_are_not_printed(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        "[sip.users]\nbob = 'one'\n",
        VXML_SERVER_SIP__USERS__Alice="s3cret-word",
        VXML_SERVER_STORE__URL="postgresql+asyncpg://u:pass-word@h/d",
        VXML_SERVER_DIAL__CREDENTIALS='{"gw.example": {"user": "u", "password": "pass-word"}}',
    )
    assert settings.sip.users["Alice"].get_secret_value() == "s3cret-word"
    assert settings.sip.users["bob"].get_secret_value() == "one"
    assert settings.dial.credentials["gw.example"].password.get_secret_value() == "pass-word"
    assert "s3cret-word" not in repr(settings)
    assert "pass-word" not in repr(settings)


def test_naming_an_application_allows_its_origin_and_its_folder(tmp_path: Path) -> None:
    numbers = "".join(
        f"[[numbers]]\nnumber = '{number}'\napplication = '{application}'\n"
        for number, application in enumerate(
            (
                "http://10.0.0.5/a/b.vxml",
                "https://H:8443/?x",
                "/srv/ivr/a.vxml",
                "file:///x%20y/b#f",
            )
        )
    )
    fetching = loaded(tmp_path, numbers + "[fetch]\nallow = ['http://10.0.0.5:80']").fetching()
    assert fetching.allow == ("http://10.0.0.5:80", "https://h:8443")
    assert fetching.files == (Path("/srv/ivr"), Path("/x y"))
    assert fetching.timeout == 15


@pytest.mark.parametrize(
    "text",
    [
        "[store]\nurl = 'mysql://u:pass-word@h'",
        "[web]\ntoken = 'pass-word'",
        "[sip.users]\nx = ['pass-word']",
        "[dial.credentials.h]\nuser = ''\npassword = 'pass-word'",
    ],
)
def test_a_refusal_does_not_print_a_secret(refusal: Refusal, text: str) -> None:
    assert "pass-word" not in refusal(text)


def test_settings_cannot_be_changed_after_start() -> None:
    settings = load(None, {})
    with pytest.raises(ValidationError):
        settings.drain_seconds = 1.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("drain_seconds = 'soon'", "server.toml:1: drain_seconds: expected a number"),
        ("\n\ndrain_seconds = -1", "server.toml:3: drain_seconds: expected a number of at least 0"),
        ("[sip]\n\nlisten = ['udp://x:y']", "server.toml:3: sip.listen.0: expected udp://, tcp://"),
        (
            "[sip]\nlisten = [\n  'udp://127.0.0.1:5060',\n  'sctp://127.0.0.1:1',\n]",
            "server.toml:4: sip.listen.1: expected udp://",
        ),
        ("[sip]\nlisten = []", "server.toml:2: sip.listen: expected at least 1 of them"),
        ("[sip]\ntrusted = ['10.0.0.1/8']", "server.toml:2: sip.trusted.0: expected a network"),
        ("[media]\nports = '9-10'", "server.toml:2: media.ports: expected two ports between 1024"),
        ("[media]\nports = 20000", "server.toml:2: media.ports: expected two ports"),
        ("[media]\naddress = 'a b'", "server.toml:2: media.address: expected an IP address"),
        ("[web]\nlisten = 'https://h'", "server.toml:2: web.listen: expected http://"),
        ("[web]\nlisten = 80", "server.toml:2: web.listen: expected http://"),
        ("[web]\nlisten = 'http://u@h/'", "server.toml:2: web.listen: expected http://"),
        ("[web]\ntoken = 'short'", "server.toml:2: web.token: expected at least 16 characters"),
        (
            "[store]\nurl = 'mysql://'",
            "server.toml:2: store.url: expected sqlite+aiosqlite:///path or",
        ),
        ("[dial]\nallow = ['*']", "server.toml:2: dial.allow.0: expected a rule such as"),
        ("[dial]\nroute = 'sip:gw'", "server.toml:2: dial.route: expected a SIP URI such as"),
        ("[fetch]\nallow = ['10.0.0.1']", "server.toml:2: fetch.allow.0: expected an origin"),
        ("[[numbers]]\nnumber = '1'", "server.toml:1: numbers.0.application: missing"),
        (
            "[[numbers]]\nnumber = '1*2'\napplication = 'x'",
            "server.toml:2: numbers.0.number: expected a number, a prefix",
        ),
        (
            "[[numbers]]\nnumber = '1'\napplication = 'ftp://x'",
            "server.toml:3: numbers.0.application: expected an http:, https: or file: URI",
        ),
        (
            "[[numbers]]\nnumber = '1'\napplication = 'http://a b/'",
            "server.toml:3: numbers.0.application: expected a URI with a host",
        ),
        (
            "numbers = [{number = '1', application = 'a'}, {number = '1', application = 'b'}]",
            "server.toml: settings: expected each number once, got '1' again",
        ),
        (
            "[sip]\nlisen = []",
            "server.toml:2: sip.lisen: unknown key; expected one of algorithms, listen, realm",
        ),
        (
            "[spi]\nlisten = []",
            "server.toml:1: spi: unknown key; expected one of asr, dial, drain_sec",
        ),
        (
            "[[numbers]]\nnumber='1'\napplication='a'\nname='x'",
            "server.toml:4: numbers.0.name: unk",
        ),
        ("[dial]\nfrom = 'x'", "server.toml:2: dial.from: expected a SIP URI such as"),
        ("[log]\njson = 'perhaps'", "server.toml:2: log.json: expected true or false"),
        ("[log]\nlevel = 'loud'", "server.toml:2: log.level: expected 'debug', 'info', 'warn"),
        ("[fetch]\nmax_bytes = 1.5", "server.toml:2: fetch.max_bytes: expected a whole number"),
        ("[fetch]\ntimeout = 0", "server.toml:2: fetch.timeout: expected a number greater than 0"),
        ("[voicexml]\nlanguage = 'x_y'", "server.toml:2: voicexml.language: expected a language"),
        ("[voicexml.properties]\nx = 5", "server.toml:2: voicexml.properties.x: expected text in"),
        ("sip = 5", "server.toml:1: sip: expected a table"),
        ("[numbers]\nx = 1", "server.toml:1: numbers: expected a list"),
        ("[sip]\nlisten = ['a'", "server.toml:2:14: "),
        ("[sip\n", "server.toml:1:5: "),
        (b"\xff\xfe", "server.toml: expected text in UTF-8"),
        (
            "[dial.credentials.'h']\nuser = 'u'",
            "server.toml:1: dial.credentials.h.password: missing",
        ),
    ],
)
def test_a_bad_setting_is_refused_with_file_line_key_and_what_was_expected(
    refusal: Refusal, text: str | bytes, said: str
) -> None:
    assert refusal(text).startswith(said)


def test_every_fault_is_reported_at_once(refusal: Refusal) -> None:
    said = refusal("[web]\nlisten = 'x'\n[media]\nports = 'y'\n").splitlines()
    assert [line.split(": ")[0] for line in said] == ["server.toml:4", "server.toml:2"]


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("VXML_SERVER_WEB__LISTEN", "nowhere", "expected http://"),
        ("VXML_SERVER_SIP__LISTEN", "udp://127.0.0.1:5060,x", "expected udp://"),
        ("VXML_SERVER_WEB__LSTEN", "http://h", "unknown key; expected one of apps, listen, token"),
        ("VXML_SERVER_WEBB__LISTEN", "http://h", "unknown key"),
        ("VXML_SERVER_SIP__USERS", "alice", "expected a table"),
        ("VXML_SERVER_DRAIN_SECONDS", "nan", "expected a finite number"),
        ("VXML_SERVER_DRAIN_SECONDS__X", "1", "expected a number"),
    ],
)
def test_a_bad_variable_is_named(refusal: Refusal, variable: str, value: str, said: str) -> None:
    text = "drain_seconds = 3\n[sip]\nlisten = ['udp://127.0.0.1:5060']\n"
    message = refusal(text, **{variable: value})
    assert message.startswith(f"environment: {variable}: ")
    assert said in message


def test_variables_that_container_platforms_make_are_left_alone(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path, "", VXML_SERVER_PORT="tcp://10.0.0.1:8080", VXML_SERVER_SERVICE_HOST="10.0.0.1"
    )
    assert settings == Settings()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: No such file"):
        load(tmp_path / "none.toml", {})


@given(st.text(max_size=80), st.text(alphabet="[]{}='\"\\,.#\n abc12", max_size=80))
def test_no_text_gives_anything_but_settings_or_their_error(
    tmp_path_factory: pytest.TempPathFactory, free: str, toml_like: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.toml"
    for text in (free, toml_like):
        path.write_text(text, "utf-8", errors="replace")
        try:
            load(path, {"VXML_SERVER_SIP__LISTEN": text})
        except SettingsError as error:
            assert str(error)
