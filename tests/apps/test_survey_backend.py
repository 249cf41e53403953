"""The survey's back end by itself."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from lxml import etree
from pytest_aiohttp.plugin import AiohttpClient

from apps.survey.backend import MAX_KEPT, Answer, Survey, application

GOOD = {"rating": "4", "visits": "12", "recommend": "true", "reason": "skipped"}

Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def survey(aiohttp_client: AiohttpClient) -> Client:
    """A client of a back end of its own."""
    return await aiohttp_client(application())


async def test_an_answer_is_kept_and_its_number_returned_as_a_page(survey: Client) -> None:
    await survey.post("/answers", data=GOOD)
    answer = await survey.post("/answers", data=GOOD | {"rating": "1"})
    page = etree.fromstring(await answer.read())
    variable = page.find(".//{*}var")
    returned = page.find(".//{*}return")
    assert variable is not None
    assert returned is not None
    assert (variable.get("name"), variable.get("expr")) == ("number", "2")
    assert returned.get("namelist") == "number"
    assert await (await survey.get("/answers")).json() == [
        {"rating": 4, "visits": 12, "recommend": "true", "reason": "skipped"},
        {"rating": 1, "visits": 12, "recommend": "true", "reason": "skipped"},
    ]


@pytest.mark.parametrize(
    "change",
    [{"rating": "6"}, {"visits": "-1"}, {"visits": "1.5"}, {"recommend": "maybe"}, {"reason": ""}],
)
async def test_what_the_pages_never_send_is_refused_and_not_kept(
    survey: Client, change: dict[str, str]
) -> None:
    assert (await survey.post("/answers", data=GOOD | change)).status == 400
    assert await (await survey.get("/answers")).json() == []


def test_only_the_latest_answers_are_kept() -> None:
    survey = Survey()
    for rating in range(MAX_KEPT + 1):
        survey.kept.append(Answer(rating, 0, "true", "skipped"))
    assert (len(survey.kept), survey.kept[0].rating) == (MAX_KEPT, 1)
