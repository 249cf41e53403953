"""Checking documents: each thing that may be found, where, and when it is not found."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.examples import examples
from tests.fuzz import documents
from tests.interpreter.harness import vxml, yes
from vxml_server import cli
from vxml_server.checking import CODES, FORMATS, Finding, check_paths

ROOT = Path(__file__).parents[2]
Check = Callable[..., list[Finding]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Checks `main.vxml` with this content, beside other files."""

    def run(main: str | bytes, strict: bool = False, **files: str) -> list[Finding]:
        for name, text in files.items():
            (tmp_path / name.replace("__", ".")).write_text(text)
        path = tmp_path / "main.vxml"
        path.write_bytes(main if isinstance(main, bytes) else main.encode())
        return check_paths([path], strict=strict)

    return run


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]


def in_form(content: str) -> str:
    return vxml(f"<form>{content}</form>")


def in_block(content: str) -> str:
    return in_form(f"<block>{content}</block>")


def grammar(content: str, attributes: str = "") -> str:
    return f'<grammar version="1.0" root="r" {attributes}><rule id="r">{content}</rule></grammar>'


VOID = grammar("<ruleref special='VOID'/>")
FOUND = [
    ("malformed", "<vxml"),
    ("malformed", "<html/>"),
    ("space-before-declaration", "\n<?xml version='1.0'?>" + in_block("a")),
    ("wrong-encoding", "<?xml version='1.0' encoding='utf-16'?>" + in_block("a")),
    ("wrong-namespace", '<vxml version="2.1" xml:lang="en"><form><block>a</block></form></vxml>'),
    ("unknown-element", in_block("<frobnicate/>")),
    ("foreign-element", in_block("a<x:y xmlns:x='urn:x'/>")),
    ("misplaced-element", in_block("a<field/>")),
    ("misplaced-text", in_form("Hello<block>a</block>")),
    ("unknown-attribute", in_block('<prompt colour="red">a</prompt>')),
    ("misspelt-attribute", in_block('<prompt barge-in="true">a</prompt>')),
    ("missing-attribute", in_block("<value/>")),
    ("conflicting-attributes", in_block('<audio src="a" expr="b">c</audio>')),
    ("bad-value", in_block('<prompt bargein="maybe">a</prompt>')),
    ("loose-value", in_block('<prompt timeout="5">a</prompt>')),
    ("wrong-order", in_block("<if cond='1'>a<else/>b<elseif cond='2'/></if>")),
    ("deprecated", in_block("<prompt><emp>a</emp></prompt>")),
    ("refused", in_form(f'<field name="f">{yes()}<filled mode="any"/></field>')),
    ("duplicate-name", vxml('<form id="a"><block/></form><form id="a"><block/></form>')),
    ("duplicate-name", in_form('<block name="a"/><block name="a"/>')),
    ("duplicate-variable", in_form("<var name='a'/><var name='a'/><block/>")),
    ("missing-dialog", in_block('<goto next="#nowhere"/>')),
    ("missing-dialog", in_form('<subdialog src="#nowhere"/>')),
    ("missing-dialog", vxml('<link event="a" dtmf="1"/><menu><choice next="#b">c</choice></menu>')),
    ("missing-item", in_block('<goto nextitem="none"/>')),
    ("missing-file", in_block('<goto next="none.vxml"/>')),
    ("missing-file", in_block('<audio src="none.wav"/>')),
    ("missing-audio", in_block('<audio src="none.wav">fallback</audio>')),
    ("unreachable-dialog", vxml('<form><block/></form><form id="b"><block/></form>')),
    ("unreachable-element", in_block("<exit/><assign name='a' expr='1'/>")),
    ("shadowed-handler", in_form("<noinput>a</noinput><noinput>b</noinput><block/>")),
    ("shadowed-handler", in_form("<catch event='a'>b</catch><catch event=' a'>c</catch><block/>")),
    ("empty-dialog", vxml("<form/>")),
    ("dead-end", vxml("<menu>Hello.</menu>")),
    ("unheard-prompt", vxml("<catch event='connection.disconnect.hangup'><prompt>a</prompt></catch>"
                            "<form><block/></form>")),
    ("unheard-prompt", in_block("<disconnect/><prompt>a</prompt>")),
    ("first-prompt-missing", in_form(f'<field>{yes()}<prompt count="2">a</prompt></field>')),
    ("meaningless-count", in_block('<prompt count="2">a</prompt>')),
    ("silent-handler", in_form("<noinput/><block/>")),
    ("audio-without-fallback", in_block('<audio src="http://host/a.wav"/>')),
    ("no-language", in_block("a").replace('xml:lang="en"', "")),
    ("no-bargein", vxml('<menu><prompt bargein="false"/><choice event="b">c</choice></menu>')),
    ("no-escalation", in_form("<noinput>a</noinput><block/>")),
    ("bad-grammar", in_form("<field>" + grammar("<ruleref uri='#none'/>") + "</field>")),
    ("bad-grammar", in_form('<field type="colour"/>')),
    ("grammar-never-matches", in_form(f"<field>{VOID}</field>")),
    ("grammar-not-listened-to",
     vxml(f'<property name="inputmodes" value="dtmf"/><form><field>{yes()}</field></form>')),
    ("no-grammar", in_form('<field name="f"><prompt>a</prompt></field>')),
    ("never-chosen", vxml('<menu><choice event="a"/></menu>')),
    ("never-chosen", vxml('<link event="a"/><form><block/></form>')),
    ("duplicate-key",
     vxml('<menu><choice dtmf="1" event="a"/><choice dtmf="1" event="b"/></menu>')),
    ("bad-script", in_block('<assign name="a" expr="1 +"/>')),
    ("bad-script", vxml("<script>function (</script><form><block/></form>")),
    ("bad-script", in_block('<value expr=""/>')),
    ("undefined-variable", in_block('<value expr="nowhere + 1"/>')),
    ("undefined-variable", in_block('<assign name="nowhere.a" expr="1"/>')),
    ("undefined-variable", in_block('<exit namelist="nowhere"/>')),
    ("assignment-in-cond", in_form('<var name="a"/><block cond="a = 1">b</block>')),
    ("submit-all", in_block('<submit next="http://host/a"/>')),
    ("unknown-property", vxml('<property name="bargin" value="true"/><form><block/></form>')),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "document"), FOUND, ids=[f"{c}-{n}" for n, (c, _) in enumerate(FOUND)]
)
def test_it_is_found(check: Check, code: str, document: str) -> None:
    findings = check(document)
    assert code in codes(findings), [str(finding) for finding in findings]
    assert all(finding.line >= 1 and finding.column >= 1 for finding in findings)
    assert all(finding.code in CODES for finding in findings)


def test_every_code_has_a_document_that_shows_it() -> None:
    elsewhere = {"unreadable", "bad-root"}
    assert CODES.keys() - elsewhere == {code for code, _ in FOUND}


@pytest.mark.parametrize(
    "document",
    [
        in_block("Hello.<exit/>"),
        in_form(f'<field name="f">{yes()}<prompt count="1">a</prompt><prompt count="2">b</prompt>'
                "<filled><if cond=\"f == 'yes'\"><exit namelist='f'/><else/><clear/></if></filled>"
                "<noinput count='1'>a</noinput><noinput count='2'>b<exit/></noinput></field>"),
        vxml('<form><block><goto next="#b"/></block></form><form id="b"><block>a</block></form>'),
        vxml("<form><block><goto expr=\"'#b'\"/></block></form><form id='b'><block/></form>"),
        vxml('<form><block>a</block></form><form id="b" scope="document">'
             f'{yes()}<field name="f"><prompt>a</prompt></field></form>'),
        in_form('<var name="o" expr="({a: 1})"/><block><value expr="o.a + Math.max(1, 2)"/>'
                "<value expr=\"(function(x) { return x + neverAsked })\"/></block>"),
        in_form('<block><foreach item="i" array="[1]"><value expr="i"/></foreach></block>'),
        in_form('<block><script>b = 1; let c = 2; function d() {}</script>'
                '<value expr="b + d()"/></block>'),
        in_form(f"<field name='f'>{yes()}<prompt>a</prompt><catch event='x'><value expr='_event'/>"
                "<value expr='f$.confidence + lastresult$.length'/></catch></field>"),
        in_form('<block><value expr="typeof nowhere"/></block>'),
        in_form('<data name="d" src="http://host/x"/><block><value expr="d"/></block>'),
        vxml('<menu dtmf="true">Hello.<choice event="help">a</choice></menu>'),
    ],
)  # fmt: skip
def test_nothing_is_found_where_nothing_is_wrong(check: Check, document: str) -> None:
    assert [str(finding) for finding in check(document)] == []


# Places ------------------------------------------------------------------------------------------


def test_a_finding_stands_at_its_attribute(check: Check) -> None:
    document = vxml('\n<form>\n  <block>é<prompt\n   bargein="maybe">a</prompt></block></form>')
    [finding] = check(document)
    assert (finding.line, finding.column) == (4, 4)
    assert str(finding).endswith(
        'main.vxml:4:4: bad-value error bargein="maybe" of <prompt>: expected true or false'
    )


def test_a_finding_stands_at_its_tag_in_any_encoding(check: Check) -> None:
    document = vxml("\n<form><block>\U0001f600é<value/></block></form>")
    for encoding in ("utf-8", "utf-16", "utf-8-sig"):
        [finding] = check(document.encode(encoding))
        assert (finding.line, finding.column) == (2, 16)


def test_a_mistake_in_a_script_stands_in_its_line(check: Check) -> None:
    [finding] = check(vxml("\n<script>\nvar a;\nvar = 2;\n</script><form><block/></form>"))
    assert (finding.code, finding.line) == ("bad-script", 4)


def test_a_mistake_in_a_grammar_stands_in_its_line(check: Check) -> None:
    text = in_form("\n<field>\n" + grammar("\n<ruleref uri='#none'/>") + "</field>")
    finding = next(f for f in check(text) if f.code == "bad-grammar")
    assert finding.line == 4


def test_a_handler_that_leaves_is_heard_once_and_needs_no_count(check: Check) -> None:
    leaving = in_form("<noinput>a<exit/></noinput><nomatch><goto next='#f'/></nomatch><block/>")
    assert "no-escalation" not in codes(check(leaving))


# Severity ----------------------------------------------------------------------------------------


def test_strict_makes_errors_of_what_is_tolerated(check: Check) -> None:
    document = in_block('<prompt colour="red">a</prompt>')
    assert [finding.severity for finding in check(document)] == ["warning"]
    assert [finding.severity for finding in check(document, strict=True)] == ["error"]


# Applications ------------------------------------------------------------------------------------


def test_what_the_root_declares_is_known(check: Check) -> None:
    root = vxml("<var name='a'/><script src='lib.js'/><noinput count='2'>b</noinput>")
    leaf = vxml(
        "<noinput>c</noinput><form><block><value expr='a + f()'/></block></form>",
        'application="root.vxml"',
    )
    assert check(leaf, root__vxml=root, lib__js="function f() { return 1 }") == []
    assert codes(check(leaf, root__vxml=vxml(""))) == ["no-escalation"] + ["undefined-variable"] * 2


def test_a_root_that_is_not_there_leaves_names_alone(check: Check) -> None:
    leaf = vxml("<form><block><value expr='a'/></block></form>", 'application="none.vxml"')
    assert codes(check(leaf)) == ["missing-file"]
    leaf = leaf.replace("none.vxml", "http://host/root.vxml")
    assert check(leaf) == []


def test_a_root_may_not_have_a_root(check: Check) -> None:
    leaf = vxml("<form><block>a</block></form>", 'application="root.vxml"')
    root = vxml("<form><block>a</block></form>", 'application="main.vxml"')
    assert codes(check(leaf, root__vxml=root)) == ["bad-root"]
    assert codes(check(leaf, root__vxml="<vxml")) == ["bad-root"]


def test_documents_lead_to_each_others_dialogs(tmp_path: Path) -> None:
    (tmp_path / "a.vxml").write_text(in_block('<goto next="b.vxml#y"/>'))
    two = '<form id="x"><block>a</block></form><form id="y"><block>a</block></form>'
    (tmp_path / "b.vxml").write_text(vxml(two))
    assert check_paths([tmp_path]) == []
    assert codes(check_paths([tmp_path / "b.vxml"])) == ["unreachable-dialog"]
    (tmp_path / "a.vxml").write_text(in_block('<goto next="b.vxml#z"/>'))
    assert codes(check_paths([tmp_path])) == ["missing-dialog", "unreachable-dialog"]


def test_handlers_of_a_root_are_executed_elsewhere(tmp_path: Path) -> None:
    root = "<catch event='a'><value expr='ofLeaf'/><goto next='#of_leaf'/></catch>"
    (tmp_path / "root.vxml").write_text(vxml(root))
    leaf = vxml("<form><block>a</block></form>", 'application="root.vxml"')
    (tmp_path / "leaf.vxml").write_text(leaf)
    assert check_paths([tmp_path]) == []


def test_grammar_files_are_checked(tmp_path: Path) -> None:
    (tmp_path / "good.grxml").write_text(
        grammar("a", 'xml:lang="en" xmlns="http://www.w3.org/2001/06/grammar"')
    )
    (tmp_path / "bad.gram").write_text("#ABNF 1.0;\nlanguage en;\nroot $a;\n$b = c;\n")
    (tmp_path / "void.gram").write_text("#ABNF 1.0;\nlanguage en;\nroot $a;\n$a = $VOID;\n")
    findings = check_paths([tmp_path])
    assert codes(findings) == ["bad-grammar", "grammar-never-matches"]
    assert Path(findings[0].path).name == "bad.gram"


def test_the_applications_of_this_repository_are_clean() -> None:
    assert [str(finding) for finding in check_paths([ROOT / "apps"])] == []


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random=st.randoms(use_true_random=False))
def test_any_document_can_be_checked(tmp_path: Path, random: Random) -> None:
    path = tmp_path / "main.vxml"
    path.write_bytes(documents.site(random)[documents.MAIN])
    for finding in check_paths([path]):
        assert finding.line >= 1
        assert finding.column >= 1
        assert finding.code in CODES


# Formats -----------------------------------------------------------------------------------------

_FINDING = Finding("a b/é.vxml", 3, 7, "submit-all", "info", "all of it")


def test_findings_as_text() -> None:
    assert FORMATS["text"]([_FINDING]) == "a b/é.vxml:3:7: submit-all info all of it\n"
    assert FORMATS["text"]([]) == ""


def test_findings_as_json() -> None:
    assert json.loads(FORMATS["json"]([_FINDING])) == [
        {
            "path": "a b/é.vxml",
            "line": 3,
            "column": 7,
            "code": "submit-all",
            "severity": "info",
            "message": "all of it",
        }
    ]


def test_findings_as_sarif() -> None:
    log = json.loads(FORMATS["sarif"]([_FINDING]))
    assert log["version"] == "2.1.0"
    [run] = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(CODES)
    assert {rule["defaultConfiguration"]["level"] for rule in rules} == {"error", "warning", "note"}
    [result] = run["results"]
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == "submit-all"
    assert result["level"] == "note"
    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "a%20b/%C3%A9.vxml"},
                "region": {"startLine": 3, "startColumn": 7},
            }
        }
    ]


# The command -------------------------------------------------------------------------------------


def test_the_command_says_by_its_status_whether_there_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "a.vxml"
    path.write_text(in_block('<prompt colour="red">a</prompt>'))
    run = CliRunner().invoke
    result = run(cli.app, ["check", str(tmp_path)])
    assert (result.exit_code, result.output.count("\n")) == (0, 1)
    assert f"{path}:1:" in result.output
    assert run(cli.app, ["check", "--strict", str(path)]).exit_code == 1
    assert json.loads(run(cli.app, ["check", "--format", "json", str(path)]).output)
    assert run(cli.app, ["check", "--format", "xml", str(path)]).exit_code == 2
    assert run(cli.app, ["check", str(tmp_path / "none")]).exit_code == 2


def test_a_file_that_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "a.vxml").mkdir()
    (tmp_path / "b.grxml").mkdir()
    assert check_paths([tmp_path / "a.vxml"]) == []
    assert codes(check_paths([tmp_path / "none.vxml"])) == ["unreadable"]
    assert codes(check_paths([tmp_path])) == ["unreadable", "unreadable"]


def test_the_documentation_lists_every_code() -> None:
    text = (ROOT / "docs" / "checking.md").read_text("utf-8")
    for name, code in CODES.items():
        assert f"| `{name}` | {code.severity} | {code.description} |" in text


def test_a_name_that_no_file_can_have_is_a_missing_file(check: Check) -> None:
    name = "x" * 2000 + ".vxml"
    assert codes(check(in_block(f'<goto next="{name}"/>'))) == ["missing-file"]
    document = vxml("<form><block>a</block></form>", f'application="{name}"')
    assert codes(check(document)) == ["missing-file"]
