"""Events: section 5.2 of VoiceXML 2.0."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.interpreter.harness import call, field, heard, records, thrown, vxml, yes
from vxml_server.events import matches
from vxml_server.interpreter.document import Element
from vxml_server.interpreter.events import EventCounters, Handler, handlers_of, select_handler


def throwing(event: str, handlers: str) -> str:
    return f'<form><block><throw event="{event}"/></block>{handlers}</form>'


# Which handler -----------------------------------------------------------------------------------


async def test_a_handler_catches_by_the_beginning_of_the_name() -> None:
    result = await call(
        throwing(
            "a.b.c", '<catch event="a.bc">no</catch><catch event="a.b">yes</catch><catch>no</catch>'
        )
    )
    assert heard(result) == ["yes"]


async def test_a_handler_may_name_several_events() -> None:
    result = await call(throwing("b", '<catch event="a b  c">yes</catch>'))
    assert heard(result) == ["yes"]


@pytest.mark.parametrize("catch", ["<catch>", '<catch event=".">'])
async def test_a_handler_without_a_name_catches_everything(catch: str) -> None:
    result = await call(throwing("a.b", f"{catch}yes</catch>"))
    assert heard(result) == ["yes"]


@pytest.mark.parametrize(
    ("event", "shorthand"),
    [("error.badfetch.http.404", "error"), ("help", "help"), ("noinput", "noinput"),
     ("nomatch.strange", "nomatch")],
)  # fmt: skip
async def test_shorthands_catch_the_event_of_their_name(event: str, shorthand: str) -> None:
    result = await call(throwing(event, f"<{shorthand}>yes</{shorthand}><catch>no</catch>"))
    assert heard(result) == ["yes"]


async def test_the_nearest_of_equal_handlers_is_chosen_not_the_most_specific() -> None:
    result = await call(
        '<catch event="a.b">document</catch><form>'
        f'<catch event="a">form</catch>{field("<catch>field</catch>")}'
        '<catch event="noinput"><throw event="a.b"/></catch></form>'
    )
    assert "field" in heard(result)


async def test_a_reached_count_beats_a_nearer_scope() -> None:
    result = await call(
        '<noinput count="2">document two</noinput><form>'
        f"{field('<noinput>field one</noinput>')}</form>",
        "silence:",
        "silence:",
        "say: yes",
    )
    assert heard(result) == ["Well?", "field one", "document two"]


async def test_a_handler_whose_condition_fails_is_passed_over() -> None:
    result = await call(
        throwing("a", "<catch cond=\"_event == 'b'\">no</catch><catch cond='1 == 1'>yes</catch>")
    )
    assert heard(result) == ["yes"]


async def test_an_error_in_the_condition_of_a_handler_is_an_event_too() -> None:
    result = await call(
        throwing(
            "a", '<catch event="a" cond="nonsense.x">no</catch><catch event="error">yes</catch>'
        )
    )
    assert thrown(result) == ["error.semantic"]
    assert heard(result) == ["yes"]


@dataclass(frozen=True)
class Naive:
    """Section 5.2.4 step by step, as the recommendation tells it."""

    handlers: list[Handler]
    name: str
    counters: EventCounters

    def choose(self) -> Handler | None:
        left = [
            (handler, pattern)
            for handler in self.handlers
            for pattern in [p for p in handler.patterns if matches(p, self.name)][:1]
            if handler.cond != "false"
        ]
        reached = [
            handler
            for handler, pattern in left
            if handler.count <= self.counters.count(self.name, pattern)
        ]
        if not reached:
            return None
        correct = max(handler.count for handler in reached)
        return next(handler for handler in reached if handler.count == correct)


_names = st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map(".".join)
_handlers = st.builds(
    Handler,
    st.just(Element("catch", {}, (), 1, "", "")),
    st.lists(st.one_of(_names, st.just("")), min_size=1, max_size=2).map(tuple),
    st.integers(1, 4),
    st.sampled_from(["", "true", "false"]),
)


@given(st.lists(_handlers, max_size=8), st.lists(_names, min_size=1, max_size=6))
def test_the_handler_is_the_one_the_recommendation_describes(
    handlers: list[Handler], names: list[str]
) -> None:
    counters = EventCounters()
    for name in names:
        counters.increment(name)
        chosen = select_handler(handlers, name, counters, lambda cond: cond == "true")
        assert chosen is Naive(handlers, name, counters).choose()


def test_handlers_stand_in_document_order() -> None:
    element = Element(
        "form",
        {},
        tuple(
            Element(name, attributes, (), 1, "", "")
            for name, attributes in [
                ("catch", {"event": "a b", "count": "3"}), ("block", {}), ("help", {"cond": "c"}),
            ]
        ),
        1, "", "",
    )  # fmt: skip
    found = [(h.patterns, h.count, h.cond) for h in handlers_of(element)]
    assert found == [(("a", "b"), 3, ""), (("help",), 1, "c")]


# Counters ----------------------------------------------------------------------------------------


async def test_occurrences_count_for_every_prefix_of_the_name() -> None:
    result = await call(
        '<form><var name="n" expr="0"/>'
        '<block name="b"><throw event="a.x"/></block>'
        '<catch event="a.x">first<clear namelist="n"/><throw event="a.y"/></catch>'
        '<catch event="a" count="2">second</catch></form>'
    )
    assert heard(result) == ["first", "second"]


async def test_counters_belong_to_the_item() -> None:
    result = await call(
        f'<form><field name="f">{yes()}</field><field name="g">{yes()}</field>'
        '<noinput>first</noinput><noinput count="2">second</noinput></form>',
        "silence:",
        "silence:",
        "say: yes",
        "silence:",
        "say: yes",
    )
    assert heard(result) == ["first", "second", "first"]


async def test_counters_start_again_when_the_dialog_is_entered_again() -> None:
    result = await call(
        f'<form id="a"><field name="f">{yes()}</field>'
        '<noinput>first</noinput><noinput count="2">second<goto next="#a"/></noinput></form>',
        "silence:",
        "silence:",
        "silence:",
        "say: yes",
    )
    assert heard(result) == ["first", "second", "first"]


async def test_clearing_an_item_clears_its_counters() -> None:
    result = await call(
        f'<form><field name="f">{yes()}<noinput>first<clear namelist="dialog.f"/></noinput>'
        '<noinput count="2">second</noinput></field></form>',
        "silence:",
        "silence:",
        "say: yes",
    )
    assert heard(result) == ["first", "first"]


# Executing a handler -----------------------------------------------------------------------------


async def test_a_handler_knows_the_event_and_its_message() -> None:
    result = await call(
        "<form><block><throw eventexpr=\"'a' + '.b'\" messageexpr=\"1 + 1\"/></block>"
        '<catch event="a"><value expr="_event"/>: <value expr="_message"/></catch></form>'
    )
    assert heard(result) == ["a.b: 2"]


async def test_an_event_without_message_has_an_undefined_message() -> None:
    result = await call(throwing("a", '<catch><value expr="typeof _message"/></catch>'))
    assert heard(result) == ["undefined"]


async def test_event_variables_and_those_of_a_handler_are_gone_after_it() -> None:
    result = await call(
        throwing(
            "a",
            '<catch><var name="v"/></catch><block><value expr="typeof _event + typeof v"/></block>',
        )
    )
    assert heard(result) == ["undefinedundefined"]


async def test_a_handler_sees_the_variables_where_the_event_was_thrown() -> None:
    result = await call(
        '<catch event="a"><value expr="deep"/></catch>'
        '<form><var name="deep" expr="1"/><block><throw event="a"/></block></form>'
    )
    assert heard(result) == ["1"]


async def test_an_event_thrown_in_a_handler_is_looked_for_from_the_same_place() -> None:
    result = await call(
        "<form>"
        + field('<noinput>one<throw event="a"/>no</noinput><catch event="a">two</catch>')
        + ""
        "</form>",
        "silence:",
        "say: yes",
    )
    assert heard(result) == ["Well?", "one", "two"]


async def test_an_event_in_a_form_level_filled_is_not_the_fields() -> None:
    result = await call(
        "<form>" + field('<catch event="a">no</catch>') + ""
        '<filled><throw event="a"/></filled><catch event="a">yes<exit/></catch></form>',
        "say: yes",
    )
    assert heard(result) == ["Well?", "yes"]


async def test_an_event_in_the_filled_of_a_field_is_the_fields() -> None:
    result = await call(
        "<form>" + field('<filled><throw event="a"/></filled><catch event="a">yes</catch>') + ""
        '<catch event="a">no</catch></form>',
        "say: yes",
    )
    assert heard(result) == ["Well?", "yes"]


async def test_an_error_in_the_condition_of_an_item_is_the_forms() -> None:
    result = await call(
        f'<form>{field("<catch>no</catch>")}<block cond="nonsense.x"/>'
        "<catch>yes<exit/></catch></form>",
        "say: yes",
    )
    assert heard(result) == ["Well?", "yes"]


async def test_handlers_that_throw_for_ever_are_stopped() -> None:
    result = await call(throwing("a", '<catch event="a"><throw event="a"/></catch>'))
    assert result.outcome.error == "error.semantic"
    assert "steps" in result.outcome.message


async def test_where_an_event_was_thrown_is_told() -> None:
    pages = vxml('\n<form>\n<block>\n<throw event="a"/>\n</block>\n<catch>\n</catch></form>')
    result = await call({"main.vxml": pages})
    assert records(result, "throw") == [
        {"name": "a", "message": "", "line": 4, "handled_by": 6},
    ]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('\n\n<var name="x" expr="nonsense"/><form/>', 3),
        ("\n<script>var a;\nvar b;\nnonsense();</script><form/>", 4),
        ("\n<form>\n<script>\n\nnonsense();</script></form>", 5),
        ('\n<form><block>\n\n<value expr="nonsense"/></block></form>', 2),
        ('\n<form><block>\n\n<if cond="nonsense"/></block></form>', 4),
        ('\n<form><block>\n<if cond="true">\n<assign name="x" expr="1"/></if></block></form>', 4),
        ('\n<form>\n<field expr="nonsense"/></form>', 3),
        ('\n<form>\n<field>\n<grammar src="nowhere.grxml"/></field></form>', 4),
    ],
)
async def test_an_error_tells_document_and_line(content: str, line: int) -> None:
    result = await call(content)
    assert result.outcome.reason == "error"
    assert result.outcome.message.startswith(f"http://test/main.vxml:{line}: ")


# Defaults ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ("help", "Sorry, no help is available here."),
        ("nomatch", "Sorry, I did not understand."),
        ("maxspeechtimeout", "Sorry, that was too long."),
        ("noinput", None),
    ],
)
async def test_after_an_unhandled_event_of_input_the_prompts_are_heard_again(
    event: str, says: str | None
) -> None:
    result = await call(
        f'<form><var name="n" expr="0"/><field name="f">{yes()}<prompt>One.</prompt>'
        f'<prompt count="2">Two.</prompt></field>'
        f'<catch event="go"/><link dtmf="1" event="{event}"/></form>',
        'dtmf: "1"',
        "say: yes",
    )
    assert heard(result) == ["One.", *([says] if says else []), "Two."]
    assert result.outcome.reason == "exit"


async def test_an_unhandled_cancel_is_passed_over_without_a_word() -> None:
    result = await call(
        f'<form><field name="f">{yes()}<prompt>One.</prompt></field>'
        '<link dtmf="1" event="cancel"/></form>',
        'dtmf: "1"',
        "say: yes",
    )
    assert heard(result) == ["One."]


@pytest.mark.parametrize(
    ("event", "says", "reason"),
    [
        ("exit", [], "exit"),
        ("connection.disconnect.hangup", [], "exit"),
        ("error.custom", ["Sorry, a technical problem has occurred. Please call again later."],
         "error"),
        ("com.example", ["Sorry, a technical problem has occurred. Please call again later."],
         "exit"),
    ],
)  # fmt: skip
async def test_other_unhandled_events_end_the_session(
    event: str, says: list[str], reason: str
) -> None:
    result = await call(throwing(event, "<block>Not reached.</block>"))
    assert heard(result) == says
    assert result.outcome.reason == reason
    assert records(result, "throw")[0]["handled_by"] == "default"


async def test_the_platform_speaks_the_language_of_the_document() -> None:
    body = vxml(throwing("error.x", "")).replace('xml:lang="en"', 'xml:lang="fr-CA"')
    result = await call({"main.vxml": body})
    assert heard(result)[0].startswith("Désolé")


def test_an_empty_pattern_counts_the_event_at_hand() -> None:
    counters = EventCounters()
    counters.increment("a")
    counters.increment("b")
    assert counters.count("a", "") == 1
    assert counters.count("a", ".") == 1
    assert counters.count("c.d", "") == 0
