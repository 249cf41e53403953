"""The bank's back end: what a real bank's web application would answer to the telephone pages.

`POST balance` takes the form fields `language`, `account` and `pin` and answers a VoiceXML page
that speaks. The rule that must hold: nothing that a caller typed is put into a page as markup;
pages are built as trees. A wrong code and an unknown account get the same answer, so that calling
does not tell which accounts exist.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field

from aiohttp import web
from lxml import etree

NAMESPACE = "http://www.w3.org/2001/vxml"
MAX_FAILURES = 3
"""Wrong codes in a row after which an account is blocked until the back end is started again."""

_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


@dataclass(slots=True)
class Account:
    """A demonstration account. `balance` is in cents."""

    pin: str
    balance: int
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Phrases:
    """What is said in one language."""

    lang: str
    in_credit: str
    overdrawn: str
    refused: str
    blocked: str
    euros: tuple[str, str]
    cents: tuple[str, str]
    joined: str
    singular_up_to: int

    def amount(self, cents: int) -> str:
        """`cents`, which is not negative, in words and figures that a voice reads well."""
        euros, rest = divmod(cents, 100)
        spoken = f"{euros} {self.euros[self._form(euros)]}"
        return f"{spoken} {self.joined} {rest} {self.cents[self._form(rest)]}" if rest else spoken

    def balance(self, cents: int) -> str:
        """The sentence that gives the balance."""
        return (self.overdrawn if cents < 0 else self.in_credit).format(self.amount(abs(cents)))

    def _form(self, number: int) -> int:
        # French says "0 euro" and "1 euro", English only "1 euro".
        return 0 if number == 1 or number <= self.singular_up_to else 1


PHRASES = {
    "fr": Phrases(
        lang="fr-FR",
        in_credit="Le solde de votre compte est de {}.",
        overdrawn="Votre compte est à découvert de {}.",
        refused="Ce numéro de compte ou ce code n'est pas reconnu.",
        blocked="Par sécurité, l'accès à votre compte est suspendu.",
        euros=("euro", "euros"),
        cents=("centime", "centimes"),
        joined="et",
        singular_up_to=1,
    ),
    "en": Phrases(
        lang="en-GB",
        in_credit="Your balance is {}.",
        overdrawn="Your account is overdrawn by {}.",
        refused="We do not recognise that account number or PIN.",
        blocked="For your security, access to your account is suspended.",
        euros=("euro", "euros"),
        cents=("cent", "cents"),
        joined="and",
        singular_up_to=-1,
    ),
}


def demonstration_accounts() -> dict[str, Account]:
    """Account number -> account."""
    return {
        "123456": Account(pin="1234", balance=123_456),
        "654321": Account(pin="4321", balance=-4_200),
        "111111": Account(pin="1111", balance=101),
    }


@dataclass(frozen=True, slots=True)
class Bank:
    """The accounts, and the requests that are answered from them."""

    accounts: dict[str, Account] = field(default_factory=demonstration_accounts)

    async def balance(self, request: web.Request) -> web.Response:
        """`POST balance`. 400 for what the pages never send."""
        form = await request.post()
        language, number, pin = (str(form.get(key, "")) for key in ("language", "account", "pin"))
        phrases = PHRASES.get(language)
        if (
            phrases is None
            or re.fullmatch("[0-9]{6}", number) is None
            or re.fullmatch("[0-9]{4}", pin) is None
        ):
            raise web.HTTPBadRequest(text="expected language, account (6 digits), pin (4 digits)\n")
        account = self.accounts.get(number)
        if account is not None and account.failures >= MAX_FAILURES:
            return _blocked(phrases, language)
        if account is None or not hmac.compare_digest(account.pin, pin):
            if account is not None:
                account.failures += 1
            return _refused(phrases, language)
        account.failures = 0
        return _spoken(phrases, language, phrases.balance(account.balance))


def application() -> web.Application:
    """The back end with fresh demonstration accounts, to be mounted at `/apps/bank/api/`."""
    app = web.Application()
    app.add_routes([web.post("/balance", Bank().balance)])
    return app


def _spoken(phrases: Phrases, language: str, sentence: str) -> web.Response:
    """Says `sentence` and goes back to the menu."""
    return _page(
        phrases,
        language,
        _element("prompt", sentence),
        _element("goto", next=f"../{language}/index.vxml#menu"),
    )


def _refused(phrases: Phrases, language: str) -> web.Response:
    """Asks again, twice; then hands the caller to a person."""
    return _page(
        phrases,
        language,
        _element("prompt", phrases.refused),
        _element("assign", name="application.refusals", expr="application.refusals + 1"),
        _element("if", _element("throw", event="bank.operator"), cond="application.refusals >= 3"),
        _element("goto", next=f"../{language}/index.vxml#balance"),
    )


def _blocked(phrases: Phrases, language: str) -> web.Response:
    return _page(
        phrases,
        language,
        _element("prompt", phrases.blocked),
        _element("throw", event="bank.operator"),
    )


def _page(phrases: Phrases, language: str, *content: etree._Element) -> web.Response:
    """A page with one block that does `content`."""
    page = etree.fromstring(f'<vxml xmlns="{NAMESPACE}" version="2.1"/>')
    page.set("application", f"../{language}/root.vxml")
    page.set(_XML_LANG, phrases.lang)
    page.append(_element("form", _element("block", *content)))
    return web.Response(
        body=etree.tostring(page, xml_declaration=True, encoding="UTF-8"),
        content_type="application/voicexml+xml",
        headers={"Cache-Control": "no-store"},
    )


def _element(tag: str, *content: etree._Element | str, **attributes: str) -> etree._Element:
    """An element of VoiceXML with text or children; lxml escapes both and the attributes."""
    element = etree.Element(f"{{{NAMESPACE}}}{tag}", attributes)
    for part in content:
        if isinstance(part, str):
            element.text = part
        else:
            element.append(part)
    return element
