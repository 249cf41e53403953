"""Every sample application is called as its `*.test.yaml` say, with its back end behind it."""

from __future__ import annotations

import importlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from scripts.make_jingle import jingle
from tests.apps.judging import complaints, errors_thrown
from vxml_server.clock import SystemClock
from vxml_server.fetch import Fetcher
from vxml_server.interpreter.dialogue import DialogueResult, run_dialogue
from vxml_server.interpreter.script import Case, Script, Transfer, parse_cases, parse_script
from vxml_server.settings import FetchSettings

APPS = Path(__file__).parents[2] / "apps"
DEFAULT_ORIGIN = "http://127.0.0.1:8080"
"""Where the default server serves `apps/`, and the dialogues expect it."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One test of a `.test.yaml` file."""

    file: Path
    case: Case

    def __str__(self) -> str:
        return f"{self.file.relative_to(APPS)}: {self.case.name}"

    @property
    def has_error(self) -> bool:
        """Whether something goes wrong in it on purpose."""
        return any(
            isinstance(step, Transfer) and step.outcome.startswith("error.")
            for step in self.case.script.steps
        )


def dialogues() -> list[Dialogue]:
    return [
        Dialogue(file, case)
        for file in sorted(APPS.glob("*/tests/*.test.yaml"))
        for case in parse_cases(file.read_bytes(), str(file))
    ]


def site(*, with_back_ends: bool) -> web.Application:
    """The folder `apps/` below /apps, and each back end at its place."""
    app = web.Application()
    if with_back_ends:
        for file in APPS.glob("*/backend.py"):
            name = file.parent.name
            back_end: web.Application = importlib.import_module(
                f"apps.{name}.backend"
            ).application()
            app.add_subapp(f"/apps/{name}/api/", back_end)
    app.router.add_static("/apps/", APPS)
    return app


Call = Callable[[str, Script], Awaitable[DialogueResult]]


async def calling(*, with_back_ends: bool) -> AsyncIterator[Call]:
    async with TestServer(site(with_back_ends=with_back_ends)) as server:
        origin = str(server.make_url("/")).rstrip("/")
        fetcher = Fetcher(FetchSettings(allow=(origin,)), SystemClock())

        async def call(document: str, script: Script) -> DialogueResult:
            uri = document.replace(DEFAULT_ORIGIN, origin)
            return await run_dialogue(uri, script, fetcher.session())

        try:
            yield call
        finally:
            await fetcher.close()


@pytest.fixture
async def call() -> AsyncIterator[Call]:
    """Calls a document with a script."""
    async for made in calling(with_back_ends=True):
        yield made


@pytest.fixture
async def call_without_back_ends() -> AsyncIterator[Call]:
    """The same while every back end is out of order."""
    async for made in calling(with_back_ends=False):
        yield made


@pytest.mark.parametrize("dialogue", dialogues(), ids=str)
async def test_the_application_answers_as_its_dialogue_says(call: Call, dialogue: Dialogue) -> None:
    result = await call(dialogue.case.document, dialogue.case.script)
    assert complaints(result) == []
    if not dialogue.has_error:
        assert errors_thrown(result) == []


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("fr", "Nous ne pouvons pas consulter votre compte pour le moment. Nous vous mettons"),
        ("en", "We cannot reach your account at the moment. We are putting you through"),
    ],
)
async def test_a_bank_without_its_back_end_hands_the_caller_to_a_person(
    call_without_back_ends: Call, language: str, said: str
) -> None:
    script = parse_script(f"""
    steps:
      - dtmf: "1"
      - dtmf: "123456"
      - dtmf: "1"
      - dtmf: "1234"
      - expect: "^{said}"
      - transfer: far_end_disconnect
      - hangup:
    """)
    result = await call_without_back_ends(
        f"{DEFAULT_ORIGIN}/apps/bank/{language}/index.vxml", script
    )
    assert complaints(result) == []


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("fr", "Vos réponses n'ont pas pu être enregistrées"),
        ("en", "We could not save your answers"),
    ],
)
async def test_a_survey_without_its_back_end_says_that_the_answers_are_lost(
    call_without_back_ends: Call, language: str, said: str
) -> None:
    script = parse_script(f"""
    steps:
      - dtmf: "5"
      - dtmf: "3#"
      - dtmf: "1"
      - expect: "^{said}"
      - expect_end: disconnect
    """)
    result = await call_without_back_ends(
        f"{DEFAULT_ORIGIN}/apps/survey/{language}/index.vxml", script
    )
    assert complaints(result) == []


async def test_a_pin_is_in_no_uri_and_no_log(call: Call) -> None:
    script = parse_script('steps: [{dtmf: "1"}, {dtmf: "654321"}, {dtmf: "1"}, {dtmf: "4321"}]')
    result = await call(f"{DEFAULT_ORIGIN}/apps/bank/en/index.vxml", script)
    told = [record for record in result.records if record["event"] in {"fetch", "log"}]
    assert told
    # A port may be anything.
    assert not re.search("4321|654321", re.sub("127.0.0.1:[0-9]+", "", str(told)))


@pytest.mark.parametrize("application", ["bank", "hours", "support", "survey", "table"])
def test_both_languages_have_the_same_documents_and_dialogues(application: str) -> None:
    folders = [APPS / application / language for language in ("fr", "en")]
    french, english = ({file.name for file in folder.iterdir()} for folder in folders)
    assert french == english
    names = [
        [
            test.case.name
            for test in dialogues()
            if test.file == APPS / f"{application}/tests/{file}"
        ]
        for file in ("fr.test.yaml", "en.test.yaml")
    ]
    assert names[0] == names[1] != []


def test_the_jingle_is_what_its_script_writes(tmp_path: Path) -> None:
    data = (APPS / "bank/audio/jingle.wav").read_bytes()
    assert data[44:] == jingle()
