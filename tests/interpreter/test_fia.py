"""The form interpretation algorithm: appendix C of VoiceXML 2.0."""

from __future__ import annotations

import pytest

from tests.interpreter.harness import call, field, heard, records, slots, thrown, yes


def items(*names: str) -> str:
    """A block for each name, which says it."""
    return "".join(f'<block name="{name}">{name}</block>' for name in names)


# Initialise --------------------------------------------------------------------------------------


async def test_a_form_is_initialised_in_document_order() -> None:
    result = await call(
        '<form><var name="a" expr="1"/><script>var b = a + 1;</script>'
        '<field name="c" expr="b + 1"/><var name="d" expr="c + 1"/>'
        '<block><exit namelist="a b c d"/></block></form>'
    )
    assert result.outcome.value == {"a": 1, "b": 2, "c": 3, "d": 4}


async def test_an_error_while_a_form_is_initialised_is_the_forms() -> None:
    result = await call(
        '<form><field name="f"><catch>no</catch></field><var name="a" expr="nonsense"/>'
        '<catch event="error.semantic">yes<exit/></catch></form>'
    )
    assert heard(result) == ["yes"]


async def test_an_error_while_a_document_is_initialised_is_handled_in_its_first_dialog() -> None:
    result = await call(
        '<var name="a" expr="nonsense"/><form><block>no</block>'
        '<catch event="error.semantic">yes</catch></form>'
    )
    assert heard(result) == ["yes"]
    assert result.outcome.reason == "exit"


async def test_an_error_in_a_document_without_dialogs_ends_the_session() -> None:
    result = await call('<var name="a" expr="nonsense"/>')
    assert thrown(result) == ["error.semantic"]
    assert heard(result) == ["Sorry, a technical problem has occurred. Please call again later."]
    assert result.outcome.reason == "error"


async def test_a_document_without_dialogs_ends_at_once() -> None:
    result = await call('<var name="a"/>')
    assert result.outcome.reason == "exit"
    assert heard(result) == []


# Select ------------------------------------------------------------------------------------------


async def test_items_are_visited_in_document_order_until_none_is_left() -> None:
    result = await call(f"<form>{items('a', 'b', 'c')}</form><form>{items('d')}</form>")
    assert heard(result) == ["a", "b", "c"]
    assert result.outcome.reason == "exit"


async def test_an_item_that_is_filled_or_whose_condition_fails_is_passed_over() -> None:
    result = await call(
        '<form><block expr="true">a</block><block cond="false">b</block>'
        '<block name="c" expr="null">c</block><block name="d" expr="undefined">d</block>'
        '<block cond="1 == 1">e</block></form>'
    )
    assert heard(result) == ["d", "e"]


async def test_an_assignment_decides_what_is_visited() -> None:
    result = await call(
        '<form><block><assign name="b" expr="true"/></block><block name="b">b</block>'
        '<block name="c">c<if cond="n++ == 0"><assign name="c" expr="undefined"/></if></block>'
        '<var name="n" expr="0"/></form>'
    )
    assert heard(result) == ["c", "c"]


async def test_goto_nextitem_visits_an_item_whatever_its_guard() -> None:
    result = await call(
        '<form><block>a<goto nextitem="c"/></block><block name="b">b</block>'
        '<block name="c" expr="1" cond="false">c</block></form>'
    )
    assert heard(result) == ["a", "c", "b"]


async def test_goto_expritem_names_the_item_at_run_time() -> None:
    result = await call(
        f"<form><block>a<goto expritem=\"'b' + 2\"/></block>{items('b1', 'b2')}</form>"
    )
    assert heard(result) == ["a", "b2", "b1"]


@pytest.mark.parametrize("name", ["nowhere", ""])
async def test_goto_nextitem_to_no_item_is_a_bad_fetch(name: str) -> None:
    result = await call(
        f'<form><var name="nowhere"/><block><goto nextitem="{name}"/></block></form>'
    )
    assert thrown(result) == ["error.badfetch"]


# Collect -----------------------------------------------------------------------------------------


async def test_prompts_taper_by_the_count_of_visits() -> None:
    result = await call(
        f'<form><field name="f">{yes()}<prompt>one</prompt><prompt count="2">two</prompt>'
        '<prompt count="4">four</prompt><noinput><reprompt/></noinput></field></form>',
        *["silence:"] * 4,
        "say: yes",
    )
    assert heard(result) == ["one", "two", "two", "four", "four"]


async def test_after_a_handler_the_prompts_are_not_heard_again() -> None:
    result = await call(
        f'<form><field name="f">{yes()}<prompt>one</prompt><prompt count="2">two</prompt>'
        "<noinput>nothing</noinput><nomatch>again<reprompt/></nomatch></field></form>",
        "silence:",
        "silence:",
        "say: what",
        "say: yes",
    )
    # Neither are they counted.
    assert heard(result) == ["one", "nothing", "nothing", "again", "two"]


async def test_the_suppression_holds_for_the_next_item_only() -> None:
    result = await call(
        f'<form><block><throw event="a"/></block><field name="f">{yes()}<prompt>one</prompt>'
        "</field>"
        f'<field name="g">{yes()}<prompt>two</prompt></field><catch event="a"/></form>',
        "say: yes",
        "say: yes",
    )
    assert heard(result) == ["two"]


async def test_a_visited_block_ends_the_suppression() -> None:
    result = await call(
        f'<form><block><throw event="a"/></block><block>hello</block>{field()}'
        '<catch event="a"/></form>',
        "say: yes",
    )
    assert heard(result) == ["hello", "Well?"]


@pytest.mark.parametrize(("reprompt", "expected"), [("", ["one"]), ("<reprompt/>", ["one", "two"])])
async def test_goto_nextitem_out_of_a_handler_keeps_the_suppression(
    reprompt: str, expected: list[str]
) -> None:
    result = await call(
        f'<form><field name="f">{yes()}<prompt>one</prompt>'
        f'<noinput>{reprompt}<goto nextitem="g"/></noinput></field>'
        f'<field name="g">{yes()}<prompt>two</prompt><filled><exit/></filled></field></form>',
        "silence:",
        "say: yes",
    )
    assert heard(result) == expected


async def test_a_goto_out_of_a_handler_starts_the_next_dialog_with_its_prompts() -> None:
    result = await call(
        f'<form><field name="f">{yes()}<noinput><goto next="#b"/></noinput></field></form>'
        f'<form id="b">{field(name="g")}</form>',
        "silence:",
        "say: yes",
    )
    assert heard(result) == ["Well?"]


async def test_reprompt_in_a_condition_counts() -> None:
    result = await call(
        f'<form><field name="f">{yes()}<prompt>one</prompt>'
        '<noinput><if cond="true"><reprompt/></if></noinput></field></form>',
        "silence:",
        "say: yes",
    )
    assert heard(result) == ["one", "one"]


async def test_text_and_audio_between_the_elements_of_a_field_are_its_prompts() -> None:
    result = await call(
        f'<form><field name="f">Say <value expr="1 + 1"/>{yes()} or three'
        "<audio src='none.wav'>, please</audio><prompt>now</prompt></field></form>",
        "say: yes",
    )
    assert heard(result) == ["Say 2", "or three , please", "now"]


async def test_a_modal_field_hears_its_own_grammars_only() -> None:
    content = (
        f'<link event="help">{yes(word="help")}</link><form><field name="f" %s>{yes()}</field>'
        "<help>Help!</help></form>"
    )
    open_field = await call(content % "", "say: help", "say: yes")
    modal = await call(content % 'modal="true"', "say: help", "say: yes")
    assert thrown(open_field) == ["help"]
    assert thrown(modal) == ["nomatch"]


# Process -----------------------------------------------------------------------------------------


async def test_filled_actions_run_in_document_order_the_fields_and_the_forms() -> None:
    result = await call(
        "<form><filled mode='any'>form before</filled>"
        f"{field('<filled>field</filled><filled>field again</filled>')}"
        "<filled>form after</filled></form>",
        "say: yes",
    )
    assert heard(result) == ["Well?", "form before", "field", "field again", "form after"]


async def test_a_filled_action_runs_once() -> None:
    result = await call(
        f"<form>{field('<filled>f</filled>')}"
        '<subdialog name="s" src="#sub"><filled>s</filled></subdialog>'
        f"{field('<filled>g</filled>', 'g')}</form>"
        '<form id="sub"><block><return/></block></form>',
        "say: yes",
        "say: yes",
    )
    assert heard(result) == ["Well?", "f", "s", "Well?", "g"]


async def test_a_throw_in_a_filled_action_skips_the_rest() -> None:
    filled = '<filled>a<throw event="x"/></filled><filled>b</filled>'
    result = await call(
        f"<form>{field(filled)}<filled>c</filled><catch event='x'/></form>",
        "say: yes",
    )
    assert heard(result) == ["Well?", "a"]


@pytest.mark.parametrize(
    ("attributes", "said", "expected"),
    [
        ("", ["a", "b"], ["b"]),
        ('mode="all"', ["a", "b"], ["b"]),
        ('mode="any"', ["a", "b"], ["a", "b"]),
        ('mode="any"', ["b a"], ["b a"]),
        ('namelist="a"', ["a", "b"], ["a"]),
        ('namelist="b"', ["a", "b"], ["b"]),
        ('namelist="a b" mode="any"', ["a", "b"], ["a", "b"]),
    ],
)
async def test_a_form_level_filled_applies_by_its_mode_and_namelist(
    attributes: str, said: list[str], expected: list[str]
) -> None:
    result = await call(
        f'<form>{slots("a", "b")}<field name="a"/><field name="b"/>'
        f'<filled {attributes}><value expr="lastresult$.utterance"/></filled></form>',
        *[f"say: {words}" for words in said],
    )
    assert heard(result) == expected


async def test_one_utterance_fills_several_fields_and_ends_the_initial() -> None:
    result = await call(
        f'<form>{slots("a", "b", "c")}<initial name="i"><prompt>What?</prompt></initial>'
        '<field name="a"/><field name="x" slot="b"/><field name="c"><prompt>And c?</prompt></field>'
        '<block><exit namelist="a x c i"/></block></form>',
        "say: a b",
        "say: c",
    )
    assert heard(result) == ["What?", "And c?"]
    assert result.outcome.value == {"a": "1", "x": "1", "c": "1", "i": True}


async def test_an_initial_ends_when_a_field_is_filled_by_its_own_grammar() -> None:
    result = await call(
        f'<form><initial name="i"><prompt>What?</prompt><noinput><goto nextitem="f"/></noinput>'
        f'</initial>{field()}<block><exit expr="i"/></block></form>',
        "silence:",
        "say: yes",
    )
    assert result.outcome.value is True


async def test_an_initial_may_be_given_up() -> None:
    result = await call(
        f'<form>{slots("f")}<initial name="i"><prompt>What?</prompt>'
        '<nomatch count="2"><assign name="i" expr="true"/><reprompt/></nomatch></initial>'
        '<field name="f"><prompt>Which f?</prompt></field></form>',
        "say: g",
        "say: g",
        "say: f",
    )
    assert heard(result) == ["What?", "Sorry, I did not understand.", "What?", "Which f?"]


async def test_a_form_grammar_that_fills_nothing_leaves_the_field_to_ask_again() -> None:
    result = await call(f"<form>{yes(word='nothing')}{field()}</form>", "say: nothing", "say: yes")
    assert heard(result) == ["Well?", "Well?"]
    assert thrown(result) == []


TREE = (
    '<grammar version="1.0" root="r" tag-format="semantics/1.0"><rule id="r">'
    '<item>go<tag>out = {to: {city: "lyon", day: null}, class: 2}</tag></item></rule></grammar>'
)


@pytest.mark.parametrize(
    ("slot", "value"),
    [
        ("class", 2),
        ("to.city", "lyon"),
        ("to", {"city": "lyon", "day": None}),
        ("elsewhere", {"to": {"city": "lyon", "day": None}, "class": 2}),
        ("to.city.name", {"to": {"city": "lyon", "day": None}, "class": 2}),
    ],
)
async def test_a_field_takes_its_slot_of_the_result_or_all_of_it(slot: str, value: object) -> None:
    result = await call(
        f'<form><field name="f" slot="{slot}">{TREE}</field><block><exit expr="f"/></block></form>',
        "say: go",
    )
    assert result.outcome.value == value


async def test_a_form_grammar_fills_slots_by_path() -> None:
    result = await call(
        f'<form>{TREE}<initial/><field name="a" slot="to.city"/><field name="b" slot="class"/>'
        '<field name="c" slot="to.day" expr="0"/><block><exit namelist="a b c"/></block></form>',
        "say: go",
    )
    assert result.outcome.value == {"a": "lyon", "b": 2, "c": 0}


async def test_a_field_is_filled_with_what_was_said_and_how() -> None:
    result = await call(
        f'<form>{field()}<block><exit expr="[f, f$.utterance, f$.confidence, f$.inputmode, '
        'f$.interpretation]"/></block></form>',
        "{say: yes, confidence: 0.75}",
    )
    assert result.outcome.value == ["yes", "yes", 0.75, "voice", "yes"]


async def test_a_mark_that_was_reached_is_told() -> None:
    result = await call(
        f'<form><field name="f">{yes()}<prompt>one <mark name="m"/> two three</prompt></field>'
        '<block><exit expr="[f$.markname, f$.marktime, lastresult$.markname]"/></block></form>',
        "say: yes",
    )
    assert result.outcome.value == ["m", 600, "m"]


# Another dialog's grammar ------------------------------------------------------------------------


async def test_what_matches_another_forms_grammar_fills_that_form() -> None:
    result = await call(
        f'<form id="a">{field()}</form>'
        f'<form id="b" scope="document">{slots("x", "y")}<field name="x"/>'
        '<field name="y"><prompt>And y?</prompt></field>'
        '<block><exit namelist="x y"/></block></form>',
        "say: x",
        "say: y",
    )
    assert heard(result) == ["Well?", "And y?"]
    assert result.outcome.value == {"x": "1", "y": "1"}
    assert [record["grammar"] for record in records(result, "match")] == ["form", "form"]


async def test_the_first_form_is_forgotten_when_another_takes_over() -> None:
    result = await call(
        f'<form id="a" scope="document">{slots("x", "y")}<initial/><field name="x"/>'
        '<field name="y"/><block><exit/></block></form>'
        f'<form id="b" scope="document">{slots("p")}<field name="p"/>'
        '<field name="q"><prompt>q?</prompt><grammar src="builtin:grammar/boolean"/></field>'
        "</form>",
        "say: x",
        "say: p",
        "say: x",
        "say: y",
    )
    assert result.outcome.reason == "exit"
    assert [r["form"] for r in records(result, "enter")] == ["a", "a", "b", "a", "a"]


# Menus -------------------------------------------------------------------------------------------

MENU = (
    '<menu><property name="inputmodes" value="dtmf voice"/><prompt>Choose.</prompt>'
    '<choice next="#a" dtmf="1">first</choice><choice expr="\'#\' + \'b\'">second</choice>'
    '<choice event="c" message="three">third</choice><choice eventexpr="\'d.e\'">fourth</choice>'
    '<nomatch>What?</nomatch></menu><form id="a"><block>A</block></form>'
    '<form id="b"><block>B</block></form><catch event="c"><value expr="_message"/><exit/></catch>'
    '<catch event="d"><value expr="_event"/><exit/></catch>'
)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ('dtmf: "1"', ["A"]),
        ("say: first", ["A"]),
        ("say: second", ["B"]),
        ("say: third", ["three"]),
        ("say: fourth", ["d.e"]),
    ],
)
async def test_a_choice_leads_to_a_dialog_or_an_event(step: str, expected: list[str]) -> None:
    assert heard(await call(MENU, step)) == ["Choose.", *expected]


async def test_a_menu_asks_again_until_something_is_chosen() -> None:
    result = await call(MENU, "say: fifth", "silence:", "say: first")
    assert heard(result) == ["Choose.", "What?", "Choose.", "A"]


async def test_a_choice_that_leads_nowhere_is_a_bad_fetch_in_the_menu() -> None:
    result = await call(
        '<menu><choice next="#nowhere">first</choice><catch event="error.badfetch">'
        "<log expr='_message'/><exit/></catch></menu>",
        "say: first",
    )
    assert records(result, "log")[0]["text"] == "the document has no dialog 'nowhere'"


# The end -----------------------------------------------------------------------------------------


async def test_a_form_that_never_listens_is_stopped() -> None:
    result = await call('<form id="a"><block><goto next="#a"/></block></form>')
    assert result.outcome.error == "error.semantic"
    assert heard(result) == ["Sorry, a technical problem has occurred. Please call again later."]


async def test_a_loop_over_a_great_array_is_stopped() -> None:
    result = await call(
        '<form><block><var name="a" expr="new Array(100000)"/>'
        '<foreach array="a" item="x"><log/></foreach></block></form>'
    )
    assert result.outcome.error == "error.semantic"


AGAIN = '<filled><if cond="n == 1500"><clear/></if></filled>'


async def test_listening_starts_the_count_of_steps_again() -> None:
    result = await call(
        f'<form><var name="n" expr="0"/><block name="b"><assign name="n" expr="n + 1"/>'
        f'<if cond="n % 1500"><goto nextitem="b"/></if></block>'
        f"{field(AGAIN)}</form>",
        "say: yes",
        "say: yes",
    )
    assert result.outcome.reason == "exit"
    assert heard(result) == ["Well?", "Well?"]
