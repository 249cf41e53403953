"""A session from its first document to its end, and callers who leave in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from tests.interpreter.harness import Moved, Page, Web, call, heard, records, thrown, vxml, yes
from tests.interpreter.harness import field as field_of
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import FetchRequest, Resource
from vxml_server.interpreter import (
    Connection,
    DocumentStore,
    InputKind,
    InputResult,
    Json,
    Limits,
    ListenRequest,
    Outcome,
    Prompt,
    Session,
    TransferRequest,
    TransferResult,
)

HANGUP = "connection.disconnect.hangup"
LAST_WORDS = f'<catch event="{HANGUP}"><log expr="_event"/>unheard</catch>'


@dataclass
class Line:
    """A platform whose caller leaves at a signal; it notes what it is asked to do."""

    hung_up: bool = False
    deeds: list[str] = field(default_factory=list)

    def now(self) -> float:
        return 0.0

    async def answer(self) -> None:
        self.deeds.append("answer")

    async def listen(self, request: ListenRequest) -> InputResult:
        self.deeds.append("listen")
        return InputResult(InputKind.HANGUP if self.hung_up else InputKind.NOINPUT)

    async def play(self, prompts: Sequence[Prompt]) -> None:
        self.deeds.append("play" if prompts else "end")

    async def transfer(self, request: TransferRequest) -> TransferResult:
        raise AssertionError("nobody is transferred here")

    async def disconnect(self, namelist: dict[str, Json]) -> None:
        self.deeds.append("disconnect")
        self.hung_up = True


class Leaving(Web):
    """A web on which a caller waits who leaves while `x.vxml` is fetched."""

    line: Line

    async def fetch(self, request: FetchRequest) -> Resource:
        if request.uri.endswith("x.vxml"):
            self.line.hung_up = True
        return await super().fetch(request)


@dataclass
class Seen:
    """What an observer saw: kinds and records."""

    all: list[tuple[str, dict[str, Json]]] = field(default_factory=list)

    def __call__(self, kind: str, record: dict[str, Json]) -> None:
        self.all.append((kind, record))

    def names(self, kind: str, key: str) -> list[Json]:
        return [record[key] for seen, record in self.all if seen == kind]


async def leaving(pages: dict[str, Page]) -> tuple[Outcome, Line, Seen]:
    line, seen = Line(), Seen()
    web = Leaving(pages)
    web.line = line
    outcome = await Session(line, web, observer=seen).run("http://test/main.vxml")
    return outcome, line, seen


# The beginning and the end -----------------------------------------------------------------------


async def test_the_call_is_answered_when_the_first_document_is_there() -> None:
    _, line, _ = await leaving({"main.vxml": vxml("<form><block>Hello.</block></form>")})
    assert line.deeds == ["answer", "play"]


async def test_a_session_whose_first_document_is_not_there_says_so() -> None:
    result = await call({})
    assert heard(result) == ["Sorry, a technical problem has occurred. Please call again later."]
    assert thrown(result) == ["error.badfetch.http.404"]
    assert (result.outcome.reason, result.outcome.error) == ("error", "error.badfetch.http.404")
    assert result.outcome.message == "http://test/main.vxml: Not Found"
    assert result.exit_status == 3


async def test_what_is_returned_is_so_though_the_last_words_cannot_be_spoken() -> None:
    class Mute(Line):
        async def play(self, prompts: Sequence[Prompt]) -> None:
            raise VoiceXmlEvent("error.noresource", "there is no voice")

    document = vxml('<form><block>Bye.<exit expr="1"/></block></form>')
    outcome = await Session(Mute(), Web({"main.vxml": document})).run("http://test/main.vxml")
    assert (outcome.reason, outcome.error, outcome.value) == ("error", "error.noresource", 1)


async def test_the_end_is_told_last() -> None:
    result = await call('<form><block>Hello.<exit expr="1"/></block></form>')
    assert result.records[-1] == {
        "t": 0.3, "event": "end", "reason": "exit", "value": 1, "error": None, "message": None,
    }  # fmt: skip


async def test_fetches_are_told_with_their_status() -> None:
    result = await call({
        "main.vxml": vxml('<form><block><goto next="moved.vxml"/></block></form>'),
        "moved.vxml": Moved("x.vxml"),
        "x.vxml": vxml('<form><block><submit next="none" method="post"/></block></form>'),
    })  # fmt: skip
    assert [(r["uri"], r["method"], r["status"]) for r in records(result, "fetch")] == [
        ("http://test/main.vxml", "GET", 200),
        ("http://test/moved.vxml", "GET", 200),
        ("http://test/none", "POST", 404),
    ]


async def test_visits_are_told_with_their_form_and_line() -> None:
    result = await call("<form id='a'>\n<block name='b'/>\n<block/></form>")
    assert records(result, "enter") == [
        {"item": "block", "name": "b", "form": "a", "line": 2},
        {"item": "block", "name": "", "form": "a", "line": 3},
    ]


# Hanging up --------------------------------------------------------------------------------------


async def test_hanging_up_while_listening_is_an_event_of_the_item() -> None:
    result = await call(f"<form>{field_of(LAST_WORDS)}</form>", "hangup:")
    assert thrown(result) == [HANGUP]
    assert heard(result) == ["Well?"]
    assert result.outcome.reason == "hangup"


async def test_hanging_up_while_a_document_is_fetched_is_an_event_of_the_new_dialog() -> None:
    outcome, line, seen = await leaving({
        "main.vxml": vxml('<form><block><goto next="x.vxml"/></block>'
                          f'<catch event="{HANGUP}"><log>old</log></catch></form>'),
        "x.vxml": vxml(f'<form><block><log>no</log></block><field>{yes()}</field>'
                       f'<catch event="{HANGUP}"><log>new</log></catch></form>'),
    })  # fmt: skip
    assert seen.names("throw", "name") == [HANGUP]
    # The block is visited after the event was handled; to listen there is nobody.
    assert seen.names("log", "text") == ["new", "no"]
    assert "listen" not in line.deeds
    assert outcome.reason == "hangup"


async def test_hanging_up_before_a_form_is_done_is_noticed_in_it() -> None:
    outcome, _, seen = await leaving({
        "main.vxml": vxml('<form><subdialog src="x.vxml"/>'
                          f'<catch event="{HANGUP}"><log>main</log></catch></form>'),
        "x.vxml": vxml("<form><block><return/></block>"
                       f'<catch event="{HANGUP}"><log>sub</log><return/></catch></form>'),
    })  # fmt: skip
    assert seen.names("log", "text") == ["sub"]
    assert seen.names("throw", "name") == [HANGUP]
    assert outcome.reason == "hangup"


async def test_hanging_up_in_the_last_item_is_noticed_before_the_end() -> None:
    outcome, _, seen = await leaving({
        "main.vxml": vxml('<form><block><script src="x.vxml"/></block>'
                          f'<catch event="{HANGUP}"><log>noticed</log></catch></form>'),
        "x.vxml": "var a;",
    })  # fmt: skip
    assert seen.names("log", "text") == ["noticed"]
    assert outcome.reason == "hangup"


async def test_a_form_that_goes_round_and_round_notices_that_the_caller_left() -> None:
    outcome, _, seen = await leaving({
        "main.vxml": vxml('<form id="a"><block><script src="x.vxml"/><goto next="#a"/></block>'
                          f'<catch event="{HANGUP}"><exit expr="1"/></catch></form>'),
        "x.vxml": "var a;",
    })  # fmt: skip
    assert seen.names("throw", "name") == [HANGUP]
    assert (outcome.reason, outcome.value) == ("hangup", 1)


async def test_final_processing_may_submit_but_not_listen() -> None:
    pages: dict[str, Page] = {
        "main.vxml": vxml(
            f'<form>{field_of()}</form><catch event="{HANGUP}"><submit next="bye.vxml"'
            ' namelist="session.connection.remote.uri"/></catch>'
        ),
        "bye.vxml": vxml(f'<form>{field_of()}<block><exit expr="9"/></block></form>'),
    }
    web = Web(pages)
    result = await call(web, "hangup:", session='{remote: "tel:1"}')
    assert web.requests[-1].fields == (("session.connection.remote.uri", "tel:1"),)
    assert heard(result) == ["Well?"]
    assert thrown(result) == [HANGUP]
    assert (result.outcome.reason, result.outcome.value) == ("hangup", None)


async def test_hanging_up_during_the_last_words_of_a_disconnect_comes_first() -> None:
    class Impatient(Line):
        async def play(self, prompts: Sequence[Prompt]) -> None:
            self.hung_up = True

    line, seen = Impatient(), Seen()
    web = Web({"main.vxml": vxml("<form><block>Bye.<disconnect/></block></form>")})
    outcome = await Session(line, web, observer=seen).run("http://test/main.vxml")
    assert seen.names("throw", "message") == ["the caller has hung up"]
    assert outcome.reason == "hangup"
    assert "disconnect" not in line.deeds


async def test_a_caller_who_is_gone_hears_nothing_more() -> None:
    _, line, _ = await leaving({
        "main.vxml": vxml("<form><block>One.<script src='x.vxml'/>Two.</block></form>"),
        "x.vxml": "var a;",
    })  # fmt: skip
    assert line.deeds == ["answer"]


# Limits ------------------------------------------------------------------------------------------


async def test_others_get_their_turn_while_a_document_runs() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await call('<form id="a"><block><goto next="#a"/></block></form>')
    task.cancel()
    assert turns > 20


async def test_a_session_has_the_limits_it_is_given() -> None:
    document = '<form id="a"><block><log/><goto next="#a"/></block></form>'
    seen = Seen()
    web = Web({"main.vxml": vxml(document)})
    session = Session(Line(), web, observer=seen, limits=Limits(steps=10))
    outcome = await session.run("http://test/main.vxml")
    assert len(seen.names("log", "text")) == 10
    assert outcome.message == "the application took 10 steps without listening"


@pytest.mark.parametrize(
    "attack",
    ["while (true) ;", "var a = 'x'; while (true) a += a;", "function f() { f() } f();"],
)
async def test_a_script_that_does_not_end_is_a_semantic_error(attack: str) -> None:
    session = Session(
        Line(),
        Web({"main.vxml": vxml(f"<form><block><script>{attack}</script></block></form>")}),
        limits=Limits(script_seconds=0.05, script_memory=4_000_000),
    )
    outcome = await session.run("http://test/main.vxml")
    assert outcome.error == "error.semantic"


# The connection ----------------------------------------------------------------------------------


async def test_the_connection_is_described() -> None:
    connection = Connection(
        local_uri="sip:a", remote_uri="sip:b", aai="x", originator="local", protocol_name="sip",
        protocol_version="2.0", headers={"x-id": "7"},
    )  # fmt: skip
    expression = (
        "(function (c) { return [c.local.uri, c.remote.uri, c.aai, c.protocol.name, "
        "c.protocol.version, c.protocol.sip.headers['x-id'], c.originator === c.local] })"
        "(session.connection)"
    )
    web = Web({"main.vxml": vxml(f'<form><block><exit expr="{expression}"/></block></form>')})
    outcome = await Session(Line(), web, connection=connection).run("http://test/main.vxml")
    assert outcome.value == ["sip:a", "sip:b", "x", "sip", "2.0", "7", True]


# The store of documents --------------------------------------------------------------------------


async def test_a_document_is_compiled_once_until_it_changes() -> None:
    store = DocumentStore(capacity=2)

    async def load(name: str, content: str = "") -> object:
        resource = await Web({name: vxml(content)}).fetch(FetchRequest(f"http://test/{name}"))
        return await store.compile(resource)

    first = await load("a")
    second = await load("b")
    assert await load("a") is first
    assert await load("a", "<form/>") is not first
    assert await load("b") is not second
