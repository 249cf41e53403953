"""`<enumerate>`: the choices that a menu or a field reads out."""

from __future__ import annotations

import pytest

from tests.interpreter.harness import call, field, heard, thrown

CHOICES = (
    '<choice next="#a" dtmf="7">sports <grammar src="builtin:grammar/boolean"/></choice>'
    '<choice next="#a">the\n weather</choice>'
)


@pytest.mark.parametrize(
    ("enumerate_", "expected"),
    [
        ("<enumerate/>", "sports, the weather"),
        (
            '<enumerate>For <value expr="_prompt"/> press <value expr="_dtmf"/>. </enumerate>',
            "For sports press 7. For the weather press .",
        ),
        ('<enumerate><value expr="_prompt"/></enumerate>', "sports the weather"),
    ],
)
async def test_the_choices_of_a_menu_are_read_out(enumerate_: str, expected: str) -> None:
    result = await call(f"<menu><prompt>{enumerate_}</prompt>{CHOICES}</menu>", "hangup:")
    assert heard(result) == [expected]


async def test_words_of_a_choice_stay_apart_around_markup() -> None:
    choice = '<choice next="#a"> new <emphasis>york</emphasis> city </choice>'
    result = await call(f"<menu><prompt><enumerate/></prompt>{choice}{choice}</menu>", "hangup:")
    assert heard(result) == ["new york city, new york city"]


async def test_keys_that_a_menu_gives_are_read_out() -> None:
    result = await call(
        '<menu dtmf="true"><enumerate><value expr="_dtmf + _prompt"/> </enumerate>'
        + "".join(f'<choice event="x">c{n}</choice>' for n in range(10))
        + '<choice event="x" dtmf="0">z</choice></menu>',
        "hangup:",
    )
    assert heard(result) == ["1c0 2c1 3c2 4c3 5c4 6c5 7c6 8c7 9c8 c9 0z"]


async def test_the_options_of_a_field_are_read_out_and_in_its_handlers() -> None:
    result = await call(
        '<form><field name="f"><prompt><enumerate/></prompt><option dtmf="1">red</option>'
        "<option>green</option><noinput>Say <enumerate/>.</noinput></field></form>",
        "silence:",
        "say: red",
    )
    assert heard(result) == ["red, green", "Say red, green."]


async def test_enumerate_where_there_is_no_choice_is_a_semantic_error() -> None:
    assert thrown(await call("<form><block><enumerate/></block></form>")) == ["error.semantic"]
    assert thrown(await call(f"<form>{field('<enumerate/>')}</form>")) == ["error.semantic"]
