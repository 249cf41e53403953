"""Suites are run, and each assertion judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from vxml_server.testing import Result, Verdict, discover, run_assertions
from vxml_server.testing.grammars import Sample

CONF = (
    '<vxml version="2.0" xmlns="http://www.w3.org/2001/vxml" xml:lang="en" '
    'xmlns:conf="http://www.w3.org/2002/vxml-conformance">\n{}\n</vxml>'
)


def run(folder: Path) -> list[Result]:
    return list(run_assertions(folder, discover(folder), workers=1))


def reported(folder: Path, content: str, name: str = "1.txml") -> Result:
    """The result of a test that is written as the W3C's are."""
    (folder / "1").mkdir(exist_ok=True)
    (folder / "1" / name).write_text(CONF.format(content))
    (result,) = run(folder)
    return result


def scripted(
    folder: Path, steps: str, document: str, manifest: str = "", *, only: bool = True
) -> Result:
    """The result of a test of our own format, the first of the folder, or its only one."""
    text = f'section: "1"\ntext: something\n{manifest}---\nsteps:\n{steps}'
    (folder / "a").mkdir()
    (folder / "a" / "assertion.yaml").write_text(text)
    (folder / "a" / "index.vxml").write_text(document)
    results = run(folder)
    assert len(results) == 1 or not only
    return results[0]


FIELD = """<form><field name="f">{}<filled><conf:pass/></filled>
<noinput><conf:fail reason="noinput"/></noinput><nomatch><conf:fail reason="nomatch"/></nomatch>
</field></form>"""


# The W3C's format --------------------------------------------------------------------------------


def test_a_test_that_comes_to_its_pass_passes(tmp_path: Path) -> None:
    result = reported(tmp_path, "<form><block><conf:pass/></block></form>")
    assert (result.id, result.verdict, result.reason) == ("1", Verdict.PASS, "")


def test_a_test_that_fails_says_why(tmp_path: Path) -> None:
    result = reported(
        tmp_path, "<form><block><conf:fail reason='bad' expr=\"' x'\"/></block></form>"
    )
    assert result.verdict is Verdict.FAIL
    assert result.reason.split() == ["bad", "x"]
    assert any("conf:fail" in line for line in result.transcript)


def test_the_caller_says_what_is_wanted(tmp_path: Path) -> None:
    content = FIELD.format('<conf:speech value="alpha"/><conf:grammar utterance="alpha"/>')
    assert reported(tmp_path, content).verdict is Verdict.PASS


def test_the_caller_presses_what_is_wanted(tmp_path: Path) -> None:
    content = FIELD.format('<conf:dtmf value="5"/><grammar src="builtin:dtmf/digits?length=1"/>')
    assert reported(tmp_path, content).verdict is Verdict.PASS


def test_the_caller_says_what_no_grammar_has(tmp_path: Path) -> None:
    result = reported(tmp_path, FIELD.format('<conf:nomatch/><conf:grammar utterance="alpha"/>'))
    assert (result.verdict, result.reason) == (Verdict.FAIL, "nomatch")


def test_the_caller_says_nothing(tmp_path: Path) -> None:
    result = reported(tmp_path, FIELD.format('<conf:noinput/><conf:grammar utterance="alpha"/>'))
    assert (result.verdict, result.reason) == (Verdict.FAIL, "noinput")


def test_the_caller_hangs_up(tmp_path: Path) -> None:
    result = reported(
        tmp_path,
        '<catch event="connection.disconnect.hangup"><conf:pass/></catch>'
        + FIELD.format('<conf:hangup/><conf:grammar utterance="alpha"/>'),
    )
    assert result.verdict is Verdict.PASS


def test_the_last_cue_before_a_wait_counts(tmp_path: Path) -> None:
    result = reported(
        tmp_path,
        '<form><block><conf:noinput/><conf:speech value="alpha"/></block>'
        '<field name="f"><conf:grammar utterance="alpha"/><filled><conf:pass/></filled></field>'
        "</form>",
    )
    assert result.verdict is Verdict.PASS


def test_the_caller_speaks_into_a_recording(tmp_path: Path) -> None:
    result = reported(
        tmp_path,
        '<form><record name="r" finalsilence="1s"><conf:recording value="nonspeech"/>'
        '<filled><if cond="r$.duration &gt; 5000"><conf:pass/></if></filled></record></form>',
    )
    assert result.verdict is Verdict.PASS


def test_links_say_one_suffix_or_the_other(tmp_path: Path) -> None:
    for number, (name, link) in enumerate([("b.txml", "b.vxml"), ("b.vxml", "b.txml")]):
        folder = tmp_path / str(number)
        (folder / "1").mkdir(parents=True)
        (folder / "1" / name).write_text(CONF.format("<form><block><conf:pass/></block></form>"))
        result = reported(folder, f'<form><block><goto next="{link}"/></block></form>')
        assert result.verdict is Verdict.PASS


def test_a_plain_document_passes_by_saying_so(tmp_path: Path) -> None:
    content = "<form><block><prompt>{}</prompt></block></form>"
    assert reported(tmp_path, content.format("pass"), "1.vxml").verdict is Verdict.PASS
    assert reported(tmp_path, content.format("fail"), "1.vxml").verdict is Verdict.FAIL


def test_a_test_without_a_verdict_is_for_a_listener(tmp_path: Path) -> None:
    result = reported(tmp_path, "<form><block>listen</block></form>")
    assert result.verdict is Verdict.MANUAL
    assert any("listen" in line for line in result.transcript)


def test_a_test_that_does_not_come_to_its_verdict_fails(tmp_path: Path) -> None:
    result = reported(tmp_path, "<form><block/></form><form><block><conf:pass/></block></form>")
    assert (result.verdict, result.reason) == (Verdict.FAIL, "ended (exit) without a verdict")


def test_an_error_that_nothing_catches_is_a_failure(tmp_path: Path) -> None:
    result = reported(tmp_path, '<form><block><throw event="error.x"/><conf:pass/></block></form>')
    assert result.verdict is Verdict.FAIL
    assert result.reason.startswith("ended in error.x")


def test_what_the_server_declines_is_not_implemented(tmp_path: Path) -> None:
    content = '<form><block><throw event="error.unsupported.x"/><conf:pass/></block></form>'
    assert reported(tmp_path, content).verdict is Verdict.NOT_IMPLEMENTED


def test_a_transfer_passes_with_the_far_end_that_it_is_meant_for(tmp_path: Path) -> None:
    result = reported(
        tmp_path,
        '<form><transfer name="t" dest="tel:1" bridge="true"><filled>'
        "<if cond=\"t == 'network_busy'\"><conf:pass/><else/><conf:fail/></if></filled></transfer>"
        "</form>",
    )
    assert result.verdict is Verdict.PASS
    assert result.reason == "with a transfer that ends in network_busy"


def test_nothing_outside_of_the_suite_is_fetched(tmp_path: Path) -> None:
    result = reported(
        tmp_path,
        '<catch event="error.badfetch"><conf:pass/></catch>'
        '<form><block><goto next="http://192.0.2.1/"/></block></form>',
    )
    assert result.verdict is Verdict.PASS


# Our own format ----------------------------------------------------------------------------------

SAYS_X = (
    '<vxml version="2.0" xmlns="http://www.w3.org/2001/vxml" xml:lang="en"><form><block>x'
    "</block></form></vxml>"
)


def test_an_assertion_passes_when_what_it_expects_holds(tmp_path: Path) -> None:
    result = scripted(tmp_path, "  - expect: x\n", SAYS_X)
    assert (result.id, result.section, result.abstract) == ("a", "1", "something")
    assert result.verdict is Verdict.PASS


def test_an_assertion_fails_without_addresses_of_this_machine(tmp_path: Path) -> None:
    result = scripted(tmp_path, "  - expect: y\n", SAYS_X)
    assert (result.verdict, result.reason) == (
        Verdict.FAIL,
        "index.vxml:1: expected 'y', heard 'x'",
    )
    assert not any("127.0.0.1" in line for line in result.transcript)


def test_what_is_pending_and_fails_is_not_implemented(tmp_path: Path) -> None:
    result = scripted(tmp_path, "  - expect: y\n", SAYS_X, "pending: true\n")
    assert result.verdict is Verdict.NOT_IMPLEMENTED


def test_what_is_pending_and_passes_passes(tmp_path: Path) -> None:
    result = scripted(tmp_path, "  - expect: x\n", SAYS_X, "pending: true\n")
    assert result.verdict is Verdict.PASS


def test_a_defect_of_the_server_is_one_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, sample: Sample) -> str:
        raise RuntimeError("out of order")

    monkeypatch.setattr("vxml_server.testing.conformance.parsed", fail)
    (tmp_path / "x.gram").write_text("#ABNF 1.0;\nmeta 'in.1' is 'x';\nmeta 'out.1' is 'x';")
    result = scripted(tmp_path, "  - expect: x\n", SAYS_X, only=False)
    assert result.verdict is Verdict.PASS
    broken = run(tmp_path)[-1]
    assert broken.verdict is Verdict.FAIL
    assert broken.reason == "a defect of the server: RuntimeError: out of order"


def test_caches_grow_old_as_calls_go_on(tmp_path: Path) -> None:
    count = '<subdialog name="{}" src="/-/count/k?cache-control=max-age%3D10&amp;end=return"/>'
    document = (
        '<vxml version="2.0" xmlns="http://www.w3.org/2001/vxml" xml:lang="en"><form>'
        f'{count.format("a")}<field name="f"><prompt timeout="20s">wait</prompt>'
        f'<noinput><assign name="f" expr="1"/></noinput></field>{count.format("b")}</form></vxml>'
    )
    steps = '  - expect: "request 1"\n  - silence:\n  - expect: "request 2"\n'
    result = scripted(tmp_path, steps, document)
    assert result.verdict is Verdict.PASS, result.transcript


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("/-/echo?a=1", r"^GET a = 1\.$"),
        ("/-/header/user-agent", "vxml-server"),
        ("/-/header/x-nothing", "^none$"),
        ("/-/set-cookie?a=b", "^set$"),
        ("/-/redirect?to=/-/echo", "^GET$"),
    ],
)
def test_pages_that_a_file_cannot_be(tmp_path: Path, page: str, said: str) -> None:
    document = SAYS_X.replace("x</block>", f'<goto next="{page}"/></block>')
    assert scripted(tmp_path, f"  - expect: '{said}'\n", document).verdict is Verdict.PASS


def test_the_rest_of_the_disk_is_not_served(tmp_path: Path) -> None:
    (tmp_path / "secret.vxml").write_text(SAYS_X)
    (tmp_path / "suite").mkdir()
    document = SAYS_X.replace("x</block>", '<goto next="/..%2Fsecret.vxml"/></block>')
    steps = "  - expect_event: error.badfetch.http.404\n  - expect_end: error\n"
    assert scripted(tmp_path / "suite", steps, document).verdict is Verdict.PASS


# Grammars ----------------------------------------------------------------------------------------


def test_a_grammar_is_held_to_its_own_samples(tmp_path: Path) -> None:
    (tmp_path / "pets.gram").write_text(
        "#ABNF 1.0;\nlanguage en;\nroot $pet;\n"
        "meta 'in.1' is 'cat';\nmeta 'out.1' is '$pet[\"cat\"]';\n"
        "meta 'in.2' is 'cow';\nmeta 'out.2' is 'REJECT';\n"
        "meta 'in.3' is 'cow';\nmeta 'out.3' is '$pet[\"cow\"]';\n"
        "meta 'in.4' is 'rose';\nmeta 'out.4' is '$flower[\"rose\"]';\n"
        "public $pet = cat;\npublic $flower = rose;\n"
    )
    verdicts = [result.verdict for result in run(tmp_path)]
    assert verdicts == [Verdict.PASS, Verdict.PASS, Verdict.FAIL, Verdict.PASS]
