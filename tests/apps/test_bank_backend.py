"""The bank's back end by itself: what it answers to a form, right or wrong."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from lxml import etree
from pytest_aiohttp.plugin import AiohttpClient

from apps.bank.backend import MAX_FAILURES, PHRASES, application

Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def bank(aiohttp_client: AiohttpClient) -> Client:
    """A client of a back end of its own."""
    return await aiohttp_client(application())


async def ask(bank: Client, account: str, pin: str, language: str = "en") -> str:
    """What the page answered for this account and PIN says."""
    answer = await bank.post(
        "/balance", data={"language": language, "account": account, "pin": pin}
    )
    assert answer.status == 200
    page = etree.fromstring(await answer.read())
    return page.findtext(".//{*}prompt") or ""


async def test_the_right_pin_gets_the_balance(bank: Client) -> None:
    assert await ask(bank, "123456", "1234") == "Your balance is 1234 euros and 56 cents."


async def test_the_balance_is_told_in_the_language_of_the_caller(bank: Client) -> None:
    assert await ask(bank, "654321", "4321", "fr") == "Votre compte est à découvert de 42 euros."


async def test_an_unknown_account_and_a_wrong_pin_get_the_same_answer(bank: Client) -> None:
    assert await ask(bank, "999999", "1234") == await ask(bank, "123456", "9999")


async def test_an_account_is_blocked_after_three_wrong_pins_in_a_row(bank: Client) -> None:
    for _ in range(MAX_FAILURES):
        assert await ask(bank, "123456", "0000") == PHRASES["en"].refused
    assert await ask(bank, "123456", "1234") == PHRASES["en"].blocked


async def test_the_right_pin_forgets_earlier_mistakes(bank: Client) -> None:
    for _ in range(MAX_FAILURES - 1):
        await ask(bank, "123456", "0000")
    await ask(bank, "123456", "1234")
    await ask(bank, "123456", "0000")
    assert (await ask(bank, "123456", "1234")).startswith("Your balance")


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"language": "en", "account": "12345", "pin": "1234"},
        {"language": "en", "account": "123456", "pin": "12345"},
        {"language": "en", "account": "<b/>456", "pin": "1234"},
        {"language": "en", "account": "١٢٣٤٥٦", "pin": "1234"},
        {"language": "../../x", "account": "123456", "pin": "1234"},
    ],
)
async def test_what_the_pages_never_send_is_refused(bank: Client, form: dict[str, str]) -> None:
    assert (await bank.post("/balance", data=form)).status == 400


async def test_a_balance_is_never_asked_for_in_a_uri(bank: Client) -> None:
    answer = await bank.get("/balance", params={"account": "123456", "pin": "1234"})
    assert answer.status == 405


async def test_answers_are_not_to_be_cached(bank: Client) -> None:
    answer = await bank.post(
        "/balance", data={"language": "en", "account": "123456", "pin": "1234"}
    )
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.content_type == "application/voicexml+xml"


@pytest.mark.parametrize(
    ("language", "cents", "spoken"),
    [
        ("fr", 0, "0 euro"),
        ("fr", 100, "1 euro"),
        ("fr", 101, "1 euro et 1 centime"),
        ("fr", 250, "2 euros et 50 centimes"),
        ("en", 0, "0 euros"),
        ("en", 101, "1 euro and 1 cent"),
        ("en", 200, "2 euros"),
    ],
)
def test_amounts_agree_in_number(language: str, cents: int, spoken: str) -> None:
    assert PHRASES[language].amount(cents) == spoken
