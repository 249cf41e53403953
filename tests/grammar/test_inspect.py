"""The `grammar` command as a shell sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vxml_server import cli

DRINKS = """#ABNF 1.0;
language en; root $drink;
$drink = [please] $kind [now] {out.kind = rules.kind;};
$kind = tea | coffee;
"""


@pytest.fixture
def drinks(tmp_path: Path) -> str:
    path = tmp_path / "drinks.gram"
    path.write_text(DRINKS)
    return str(path)


def run(*arguments: str) -> tuple[int, list[str]]:
    result = CliRunner().invoke(cli.app, ["grammar", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout.splitlines()


def test_a_text_is_matched_with_its_tree_and_interpretation(drinks: str) -> None:
    status, lines = run(drinks, "--match", "please tea", "--json")
    assert status == 0
    assert json.loads(lines[0]) == {
        "accepted": True,
        "tree": '$drink["please",$kind["tea"],{!{out.kind = rules.kind;}!}]',
        "interpretation": {"kind": "tea"},
        "error": None,
    }
    assert run(drinks, "--match", "tea") == (
        *(0, ['  $drink[$kind["tea"],{!{out.kind = rules.kind;}!}]', '  = {"kind": "tea"}']),
    )


def test_what_is_not_in_the_grammar_is_rejected(drinks: str) -> None:
    status, lines = run(drinks, "--match", "beer", "--json")
    assert status == 1
    assert json.loads(lines[0]) == {
        "accepted": False,
        "tree": None,
        "interpretation": None,
        "error": None,
    }
    assert run(drinks, "--match", "beer") == (1, ["rejected"])


@pytest.mark.parametrize("what", [["--match", "tea"], ["--check"], ["--generate", "2"]])
def test_a_grammar_in_error_says_where(tmp_path: Path, what: list[str]) -> None:
    path = tmp_path / "bad.gram"
    path.write_text("#ABNF 1.0;\nlanguage en;\n$r = tea | $nowhere;\n")
    status, lines = run(str(path), *what, "--json")
    assert status == 2
    record = json.loads(lines[0])
    assert record["accepted"] is False
    assert "bad.gram:3:12: error.badfetch: the rule 'nowhere' is not defined" in record["error"]
    assert run(str(path), *what)[1][0].startswith("error: ")


def test_a_tag_that_fails_is_an_error_of_the_grammar(tmp_path: Path) -> None:
    path = tmp_path / "bad.gram"
    path.write_text(
        "#ABNF 1.0;\nlanguage en;\ntag-format <semantics/1.0>;\n$r = tea {nowhere()};\n"
    )
    status, lines = run(str(path), "--match", "tea", "--json")
    assert status == 2
    record = json.loads(lines[0])
    assert (record["accepted"], record["interpretation"]) == (True, None)
    assert "bad.gram:4:10: error.semantic" in record["error"]
    assert run(str(path), "--generate", "1")[0] == 2


def test_random_sentences_are_the_same_for_a_seed(drinks: str) -> None:
    status, lines = run(drinks, "--generate", "20", "--seed", "7", "--json")
    assert status == 0
    records = [json.loads(line) for line in lines]
    assert len(records) == 20
    assert {record["interpretation"]["kind"] for record in records} == {"tea", "coffee"}
    assert run(drinks, "--generate", "20", "--seed", "7", "--json") == (0, lines)
    assert run(drinks, "--generate", "20", "--seed", "8", "--json") != (0, lines)
    assert len(run(drinks, "--generate", "2")[1]) == 6


def test_check_says_what_grammar_it_is(drinks: str) -> None:
    status, lines = run(drinks, "--check", "--json")
    assert status == 0
    assert json.loads(lines[0]) == {
        "mode": "voice",
        "lang": "en",
        "root": "drink",
        "rules": 2,
        "documents": 1,
        "regular": True,
        "tokens": 4,
        "sentences": 8,
        "error": None,
    }
    assert run(drinks, "--check")[1] == [
        "a grammar for voice in en: root drink, 2 rules, 4 tokens, 8 sentences, regular"
    ]
    assert "sentences without number" in run("builtin:dtmf/digits", "--check")[1][0]


def test_mode_and_language_are_for_a_grammar_that_does_not_say(tmp_path: Path) -> None:
    path = tmp_path / "keys.grxml"
    path.write_text('<grammar root="r"><rule id="r">1 2</rule></grammar>')
    assert run(str(path), "--match", "12")[0] == 2
    assert run(str(path), "--match", "12", "--mode", "dtmf")[0] == 0
    assert run(str(path), "--match", "one", "--lang", "en")[0] == 1
    assert run("builtin:boolean", "--match", "oui", "--lang", "fr", "--mode", "voice")[0] == 0


def test_a_grammar_without_sentences_makes_none(tmp_path: Path) -> None:
    path = tmp_path / "void.gram"
    path.write_text("#ABNF 1.0;\nlanguage en;\n$r = tea $VOID;\n")
    assert run(str(path), "--generate", "3") == (0, [])


@pytest.mark.parametrize("wrong", [[], ["--match", "x", "--mode", "smell"]])
def test_a_wrong_usage_is_refused(drinks: str, wrong: list[str]) -> None:
    assert run(drinks, *wrong)[0] == 2
