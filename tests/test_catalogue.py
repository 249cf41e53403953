from __future__ import annotations

import pytest

from vxml_server.catalogue import LANGUAGES, MESSAGES, language, message


@pytest.mark.parametrize("key", MESSAGES)
def test_no_text_is_missing_in_any_language(key: str) -> None:
    texts = MESSAGES[key]
    assert set(texts) == set(LANGUAGES)
    assert all(text.strip() for text in texts.values())
    assert len(set(texts.values())) == len(LANGUAGES)


@pytest.mark.parametrize(
    ("tag", "nearest"),
    [("fr", "fr"), ("fr-CA", "fr"), ("FR_ca", "fr"), ("en-GB", "en"), ("de", "en"), ("", "en")],
)
def test_the_nearest_language_is_picked(tag: str, nearest: str) -> None:
    assert language(tag) == nearest
    assert message("caller.nomatch", tag) == MESSAGES["caller.nomatch"][nearest]


def test_a_message_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        message("caller.nothing", "en")
