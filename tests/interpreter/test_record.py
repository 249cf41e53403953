"""`<record>` (VoiceXML 2.0 section 2.3.6), as a script's caller meets it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.interpreter.harness import MAIN, Web, call, heard, records, thrown, vxml, yes
from vxml_server.audio import decode
from vxml_server.ecmascript import Engine
from vxml_server.fetch import FilePart
from vxml_server.interpreter.dialogue import DialogueResult, run_dialogue
from vxml_server.interpreter.platform import RecordedAudio
from vxml_server.interpreter.recordings import Recordings
from vxml_server.interpreter.script import parse_script
from vxml_server.interpreter.session import DocumentStore

SHADOWS = (
    '<exit expr="({size: r$.size, duration: r$.duration, termchar: r$.termchar,'
    ' maxtime: r$.maxtime, utterance: r$.utterance, mode: r$.inputmode, is: typeof r})"/>'
)


def recording(attributes: str = "", content: str = "", filled: str = SHADOWS) -> str:
    return f'<form><record name="r" {attributes}>{content}<filled>{filled}</filled></record></form>'


def value(result: DialogueResult) -> Any:
    return result.outcome.value


def dtmf(keys: str = "1 2") -> str:
    return yes(word=keys, kind="dtmf")


async def test_a_message_ends_by_silence_which_is_no_part_of_it() -> None:
    result = await call(recording('finalsilence="2s"'), "record: 4s")
    assert value(result) == {
        # Shadow variables that do not apply are undefined.
        "size": value(result)["size"],
        "duration": 4000,
        "maxtime": False,
        "is": "object",
    }
    assert value(result)["size"] > 4 * 8000
    assert result.records[-1]["t"] == 6.0


async def test_a_key_ends_a_recording_and_is_its_termchar() -> None:
    result = await call(recording(), 'record: 4s\n  dtmf: "#"')
    assert (value(result)["termchar"], value(result)["duration"]) == ("#", 4000)
    assert (value(result)["utterance"], value(result)["mode"]) == ("#", "dtmf")
    assert result.records[-1]["t"] == 4.0
    assert records(result, "record") == [
        {"name": "r", "duration": 4.0, "termchar": "#", "maxtime": False, "bytes": 32058}
    ]


async def test_without_dtmfterm_keys_are_passed_over() -> None:
    result = await call(recording('dtmfterm="false"'), 'record: 4s\n  dtmf: "5"')
    assert ("termchar" in value(result), value(result)["duration"]) == (False, 4000)


async def test_without_keys_among_the_input_modes_no_key_ends_it() -> None:
    silent = '<property name="inputmodes" value="voice"/>'
    result = await call(recording(content=silent), 'record: 4s\n  dtmf: "5"')
    assert "termchar" not in value(result)


async def test_maxtime_ends_a_recording() -> None:
    result = await call(recording('maxtime="3s"'), "record: 10s")
    assert (value(result)["maxtime"], value(result)["duration"]) == (True, 3000)


async def test_maxtime_may_pass_in_the_silence_after_the_speech() -> None:
    result = await call(recording('maxtime="5s" finalsilence="3s"'), "record: 4s")
    assert (value(result)["maxtime"], value(result)["duration"]) == (True, 5000)


async def test_silence_is_a_noinput_after_the_timeout() -> None:
    content = '<prompt timeout="7s">Speak</prompt><noinput><exit expr="\'none\'"/></noinput>'
    result = await call(recording(content=content), "silence:")
    assert value(result) == "none"
    assert result.records[-1]["t"] == pytest.approx(7.3)


async def test_the_tone_comes_after_the_prompts_and_before_the_speech() -> None:
    plain = await call(recording(content="<prompt>Speak</prompt>"), "record: 1s")
    with_tone = await call(recording('beep="true"', "<prompt>Speak</prompt>"), "record: 1s")
    assert with_tone.records[-1]["t"] - plain.records[-1]["t"] == pytest.approx(0.25)


async def test_a_recording_is_there_when_the_caller_hangs_up() -> None:
    document = (
        '<catch event="connection.disconnect.hangup">'
        '<submit next="keep" method="post" enctype="multipart/form-data" namelist="r"/></catch>'
        + recording(filled="<exit expr=\"'filled'\"/>")
    )
    web = Web({"main.vxml": vxml(document), "keep": vxml("<form><block><exit/></block></form>")})
    result = await call(web, "record: 4s\n  hangup:")
    assert result.outcome.reason == "hangup"
    assert thrown(result) == ["connection.disconnect.hangup"]
    [(name, part)] = web.requests[-1].fields
    assert name == "r"
    assert isinstance(part, FilePart)
    assert (part.media_type, part.filename) == ("audio/x-wav", "r.wav")
    assert decode(part.body).duration == 4.0


async def test_a_hang_up_before_any_speech_leaves_nothing() -> None:
    document = (
        '<catch event="connection.disconnect.hangup"><exit expr="typeof r"/></catch>' + recording()
    )
    # A handler of the document does not see the dialog's variables until the dialog runs.
    result = await call(document, "hangup:")
    assert value(result) == "undefined"


async def test_a_key_before_any_speech_leaves_the_item_to_be_visited_again() -> None:
    counted = '<prompt count="1">first</prompt><prompt count="2">second</prompt>'
    result = await call(recording(content=counted), 'dtmf: "9"', "record: 2s")
    assert heard(result) == ["first", "second"]
    assert thrown(result) == []
    assert value(result)["duration"] == 2000


async def test_input_over_the_prompt_is_known_by_lastresult() -> None:
    document = (
        '<form><record name="r"><prompt>Speak now please</prompt>'
        '<filled><exit expr="application.lastresult$.utterance"/></filled></record></form>'
    )
    result = await call(document, 'dtmf: "7"\n  after: 0.2s', "record: 2s")
    assert value(result) == "7"


async def test_a_local_grammar_ends_the_recording_and_keeps_it() -> None:
    result = await call(recording('dtmfterm="false"', dtmf()), 'record: 3s\n  dtmf: "12"')
    assert (value(result)["duration"], value(result)["utterance"]) == (3100, "12")


async def test_a_key_that_matches_no_grammar_ends_it_by_dtmfterm() -> None:
    result = await call(recording(content=dtmf()), 'record: 3s\n  dtmf: "9"')
    assert value(result)["termchar"] == "9"


async def test_keys_that_a_grammar_may_go_on_with_end_it_after_the_interdigit_timeout() -> None:
    result = await call(recording('finalsilence="9s"', dtmf()), 'record: 3s\n  dtmf: "1"')
    assert (value(result)["termchar"], value(result)["duration"]) == ("1", 6000)


async def test_a_voice_grammar_ends_the_recording() -> None:
    result = await call(recording(content=yes(word="finish")), 'say: "finish"')
    assert (value(result)["utterance"], value(result)["mode"]) == ("finish", "voice")


async def test_other_words_are_the_message() -> None:
    result = await call(recording(content=yes(word="finish")), 'say: "call me back"')
    assert ("utterance" in value(result), value(result)["duration"]) == (False, 900)


LINK = f'<link next="#other">{dtmf("0")}</link>'
OTHER = '<form id="other"><block>other<exit/></block></form>'


async def test_a_recording_is_modal_unless_it_says_otherwise() -> None:
    modal = await call(LINK + recording() + OTHER, 'record: 2s\n  dtmf: "0"')
    assert value(modal)["termchar"] == "0"
    open_ = await call(LINK + recording('modal="false"') + OTHER, 'record: 2s\n  dtmf: "0"')
    assert heard(open_) == ["other"]


@pytest.mark.parametrize(
    "media_type", ["audio/x-wav", "audio/basic", "audio/x-alaw-basic", "audio/wav"]
)
async def test_the_formats_of_appendix_e_are_recorded(media_type: str) -> None:
    submit = '<submit next="keep" method="post" namelist="r"/>'
    web = Web(
        {
            "main.vxml": vxml(recording(f'type="{media_type}"', filled=submit)),
            "keep": vxml("<form><block><exit/></block></form>"),
        }
    )
    await call(web, "record: 2s")
    # The enctype is not stated: a recording makes it multipart.
    assert web.requests[-1].enctype == "multipart/form-data"
    [(_, part)] = web.requests[-1].fields
    assert isinstance(part, FilePart)
    assert part.media_type == media_type
    assert decode(part.body, media_type).duration == 2.0


async def test_any_other_format_is_unsupported() -> None:
    result = await call(recording('type="video/mp4"'), "record: 2s")
    assert thrown(result) == ["error.unsupported.format"]


@pytest.mark.parametrize(
    "playing", ['<audio expr="r">gone</audio>', '<value expr="r"/>', '<audio expr="copy"/>']
)
async def test_a_recording_is_played_back(playing: str) -> None:
    filled = f'<var name="copy" expr="r"/><prompt>You said {playing}</prompt>'
    result = await call(recording(filled=filled), "record: 5s")
    assert heard(result) == ["You said"]
    # Two words, and five seconds; the final silence before it.
    assert result.records[-1]["t"] == pytest.approx(5 + 3 + 0.6 + 5)


async def test_a_recording_is_passed_to_a_subdialog_and_comes_back() -> None:
    document = (
        '<form><record name="r"/>'
        '<subdialog name="s" src="#sub"><param name="p" expr="r"/></subdialog>'
        '<block><prompt><audio expr="s.p"/></prompt>'
        '<submit next="keep" method="post" namelist="s.p"/></block></form>'
        '<form id="sub"><var name="p"/><block><return namelist="p"/></block></form>'
    )
    web = Web({"main.vxml": vxml(document), "keep": vxml("<form><block><exit/></block></form>")})
    await call(web, "record: 2s")
    [(name, part)] = web.requests[-1].fields
    assert (name, isinstance(part, FilePart)) == ("s.p", True)


@pytest.mark.parametrize(
    "script",
    ["r.size = 1", "r.constructor = 1", "delete r.duration", "r.toString = () => 'x'"],
)
async def test_scripts_cannot_change_a_recording(script: str) -> None:
    filled = f'<script>{script}</script><exit expr="r.duration + String(r)"/>'
    result = await call(recording(filled=filled), "record: 2s")
    assert value(result) == "2000urn:x-recording:1"


async def test_what_it_returns_to_the_outside_are_its_figures() -> None:
    result = await call(recording(filled='<exit namelist="r"/>'), "record: 1s")
    assert value(result) == {"r": {"type": "audio/x-wav", "size": 8058, "duration": 1000}}


async def test_a_recording_that_is_not_posted_is_refused() -> None:
    result = await call(
        Web({"main.vxml": vxml(recording(filled='<submit next="keep" namelist="r"/>'))}),
        "record: 1s",
    )
    assert thrown(result)[0].startswith("error.badfetch")


async def test_steps_wait_for_the_recording_they_are_meant_for() -> None:
    document = (
        f'<form><field name="f">{yes()}</field><record name="r"/>'
        '<block><exit expr="r$.duration"/></block></form>'
    )
    assert value(await call(document, "say: yes", "record: 2s")) == 2000
    # Nothing is said into the field.
    assert thrown(await call(document, "record: 2s"))[0] == "noinput"


async def test_a_caller_who_never_speaks_leaves_in_the_end() -> None:
    result = await call(recording())
    assert thrown(result) == ["noinput"] * 10 + ["connection.disconnect.hangup"]


async def test_old_recordings_are_forgotten_when_there_are_too_many() -> None:
    kept = Recordings(Engine(), capacity=250)
    objects = [kept.add(RecordedAudio(b"x" * 100, "audio/basic", 1.0)) for _ in range(3)]
    assert [kept.find(made) is not None for made in objects] == [False, True, True]
    assert kept.find("urn:x-recording:3") is None
    assert kept.named("urn:x-recording:3") is not None


async def test_the_time_since_a_mark_ends_with_the_prompts_and_not_with_the_message() -> None:
    prompt = '<prompt>one <mark name="m"/> two three</prompt>'
    marks = '<exit expr="({name: r$.markname, time: r$.marktime})"/>'
    result = await call(recording('finalsilence="2s" beep="true"', prompt, marks), "record: 4s")
    assert value(result) == {"name": "m", "time": 600}


@pytest.mark.parametrize("is_strict", [False, True])
@pytest.mark.parametrize(
    ("expression", "outcome"),
    [("limit + 's'", 2000), ("limit", 2000), ("'soon'", "error.semantic")],
)
async def test_maxtime_may_be_an_expression_of_ours_that_others_pass_over(
    expression: str, outcome: object, is_strict: bool
) -> None:
    page = vxml(
        '<var name="limit" expr="2"/><catch event="error"><exit expr="_event"/></catch>'
        f'<form><record name="r" maxtime="9s" v:maxtimeexpr="{expression}">'
        '<filled><exit expr="r$.duration"/></filled></record></form>',
        'xmlns:v="urn:vxml-server"',
    )
    result = await run_dialogue(
        MAIN,
        parse_script("steps:\n  - record: 5s\n"),
        Web({"main.vxml": page}),
        documents=DocumentStore(strict=is_strict),
    )
    assert value(result) == outcome
