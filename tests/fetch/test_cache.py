from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vxml_server.fetch import cache
from vxml_server.fetch.cache import COMMON, Cache, Entry, Moment

WALL = datetime(2026, 1, 1, tzinfo=UTC)
NOW = 1000.0


def http_date(seconds: float) -> str:
    """The HTTP date `seconds` after the response came."""
    return format_datetime(WALL + timedelta(seconds=seconds), usegmt=True)


def entry(
    headers: dict[str, str] | None = None,
    *,
    uri: str = "http://h/",
    body: bytes = b"x",
    status: int = 200,
    request: dict[str, str] | None = None,
    delay: float = 0.0,
) -> Entry:
    moment = Moment(NOW, WALL, delay)
    return cache.make_entry(uri, status, headers or {}, body, "digest", request or {}, moment)


@pytest.mark.parametrize(
    ("headers", "lifetime"),
    [
        ({"cache-control": "max-age=60"}, 60),
        ({"cache-control": 'Max-Age="60", private="x, max-age=5"'}, 60),
        ({"cache-control": "max-age=60", "expires": http_date(999)}, 60),
        ({"cache-control": "max-age=x", "expires": http_date(999)}, 0),
        ({"cache-control": "max-age=" + "9" * 400}, 2**31),
        ({"expires": http_date(90), "date": http_date(-10)}, 100),
        ({"expires": http_date(90)}, 90),
        ({"expires": http_date(-5)}, 0),
        ({"expires": "0"}, 0),
        ({"last-modified": http_date(-1000), "date": http_date(0)}, 100),
        ({"last-modified": "yesterday"}, 0),
        ({}, 0),
    ],
)
def test_a_response_is_fresh_for_as_long_as_its_headers_say(
    headers: dict[str, str], lifetime: float
) -> None:
    assert entry(headers).lifetime == pytest.approx(lifetime)


def test_age_counts_the_way_here_the_caches_before_and_the_time_since() -> None:
    aged = entry({"age": "30", "date": http_date(-5)}, delay=2.0)
    assert aged.age(NOW) == 32
    assert aged.age(NOW + 10) == 42
    assert entry({"date": http_date(-40), "age": "junk"}).age(NOW) == 40


@pytest.mark.parametrize(
    ("status", "headers", "storable"),
    [
        (200, {"cache-control": "max-age=1"}, True),
        (200, {"etag": '"1"'}, True),
        (200, {"last-modified": http_date(-5)}, True),
        (200, {}, False),
        (200, {"cache-control": "no-store, max-age=1"}, False),
        (200, {"cache-control": "max-age=1", "vary": "*"}, False),
        (301, {"etag": '"1"'}, True),
        (302, {"etag": '"1"'}, False),
        (302, {"cache-control": "max-age=1"}, True),
        (206, {"cache-control": "max-age=1"}, False),
        (404, {"cache-control": "max-age=1"}, False),
    ],
)
def test_what_may_be_stored(status: int, headers: dict[str, str], storable: bool) -> None:
    assert cache.is_storable(status, headers) is storable


@pytest.mark.parametrize(
    ("headers", "request_headers", "personal"),
    [
        ({"cache-control": "private, max-age=9"}, {}, True),
        ({"etag": '"1"'}, {"cookie": "a=b"}, True),
        ({"etag": '"1"', "cache-control": "public"}, {"cookie": "a=b"}, False),
        ({"cache-control": "max-age=9"}, {"cookie": "a=b"}, False),
        ({"etag": '"1"'}, {"authorization": "Basic x"}, True),
        ({"etag": '"1"'}, {}, False),
    ],
)
def test_what_may_be_made_for_one_caller_is_personal(
    headers: dict[str, str], request_headers: dict[str, str], personal: bool
) -> None:
    assert cache.is_personal(headers, request_headers) is personal


@pytest.mark.parametrize(
    ("headers", "after", "maxage", "maxstale", "usable"),
    [
        ("max-age=60", 59, None, None, True),
        ("max-age=60", 60, None, None, False),
        ("max-age=60", 30, 30, None, True),
        ("max-age=60", 31, 30, None, False),
        ("max-age=60", 31, 30, 1000, False),
        ("max-age=60", 0, 0, None, False),
        ("max-age=60", 70, None, 10, True),
        ("max-age=60", 71, None, 10, False),
        ("max-age=60", 70, 100, 10, True),
        ("max-age=60", 70, 100, None, False),
        ("max-age=60, must-revalidate", 70, None, 10, False),
        ("max-age=60, must-revalidate", 50, None, 10, True),
        ("max-age=60, no-cache", 0, None, 10, False),
        ("max-age=0", 0, None, None, False),
    ],
)
def test_maxage_and_maxstale_decide_as_the_recommendation_says(
    headers: str, after: float, maxage: float | None, maxstale: float | None, usable: bool
) -> None:
    kept = entry({"cache-control": headers})
    assert cache.is_usable(kept, NOW + after, maxage, maxstale) is usable


def test_a_validated_entry_is_fresh_again_with_the_old_body_and_the_new_headers() -> None:
    old = entry(
        {"cache-control": "max-age=60", "etag": '"1"', "age": "50", "content-type": "text/x"},
        body=b"body",
    )
    later = Moment(NOW + 100, WALL + timedelta(seconds=100), 0.5)
    new = cache.freshened(old, {"cache-control": "max-age=10", "content-type": "no"}, later)
    assert new.body == b"body"
    assert new.headers["content-type"] == "text/x"
    assert new.headers["etag"] == '"1"'
    assert new.age(NOW + 100) == 0.5
    assert cache.is_usable(new, NOW + 109, None, None)
    assert not cache.is_usable(new, NOW + 110, None, None)


def test_validators_are_sent_back_as_they_came() -> None:
    both = entry({"etag": 'W/"1"', "last-modified": http_date(-5)})
    assert cache.conditional_headers(both) == {
        "if-none-match": 'W/"1"',
        "if-modified-since": http_date(-5),
    }
    assert cache.conditional_headers(entry()) == {}


def test_variants_are_told_apart_by_the_headers_they_vary_on() -> None:
    store = Cache(100_000)
    for language in ("fr", "en"):
        request = {"accept-language": language}
        store.put(
            COMMON, entry({"vary": "Accept-Language"}, body=language.encode(), request=request)
        )
    for language in ("fr", "en"):
        found = store.get(COMMON, "http://h/", {"accept-language": language})
        assert found is not None
        assert found.body == language.encode()
    assert store.get(COMMON, "http://h/", {"accept-language": "de"}) is None


def test_the_variants_of_one_uri_are_bounded() -> None:
    store = Cache(10_000_000)
    for number in range(100):
        store.put(COMMON, entry({"vary": "x"}, request={"x": str(number)}))
    assert store.size == 8 * entry().size
    assert store.get(COMMON, "http://h/", {"x": "99"}) is not None
    assert store.get(COMMON, "http://h/", {"x": "1"}) is None


def test_partitions_do_not_see_each_other() -> None:
    store = Cache(100_000)
    store.put(1, entry())
    assert store.get(1, "http://h/", {}) is not None
    assert store.get(2, "http://h/", {}) is None
    assert store.get(COMMON, "http://h/", {}) is None
    store.drop(1)
    assert store.get(1, "http://h/", {}) is None
    assert store.size == 0


def test_invalidation_reaches_the_common_entry_and_the_callers_own() -> None:
    store = Cache(100_000)
    for partition in (COMMON, 1, 2):
        store.put(partition, entry())
    store.invalidate(1, "http://h/")
    assert store.get(COMMON, "http://h/", {}) is None
    assert store.get(1, "http://h/", {}) is None
    assert store.get(2, "http://h/", {}) is not None


def test_the_least_recently_used_goes_first() -> None:
    store = Cache(3 * entry().size)
    for name in "abc":
        store.put(COMMON, entry(uri=name))
    store.get(COMMON, "a", {})
    store.put(COMMON, entry(uri="d"))
    assert [name for name in "abcd" if store.get(COMMON, name, {})] == ["a", "c", "d"]


@given(
    st.lists(
        st.one_of(
            st.tuples(
                st.just("put"), st.integers(0, 2), st.sampled_from("abc"), st.integers(0, 3000)
            ),
            st.tuples(st.just("drop"), st.integers(0, 2), st.just(""), st.just(0)),
            st.tuples(st.just("invalidate"), st.integers(0, 2), st.sampled_from("abc"), st.just(0)),
        ),
        max_size=40,
    )
)
def test_the_size_is_the_sum_of_what_is_kept_and_never_over_the_limit(
    operations: list[tuple[str, int, str, int]],
) -> None:
    store = Cache(6000)
    for operation, partition, uri, size in operations:
        if operation == "put":
            store.put(partition, entry({"vary": "x"}, uri=uri, body=b"x" * size))
        elif operation == "drop":
            store.drop(partition)
        else:
            store.invalidate(partition, uri)
        kept = [store.get(p, u, {}) for p in range(3) for u in "abc"]
        assert store.size == sum(one.size for one in kept if one is not None)
        assert store.size <= 6000


@given(
    st.dictionaries(st.sampled_from(["cache-control", "expires", "date", "age", "vary"]), st.text())
)
def test_no_header_a_server_sends_can_break_the_cache(headers: dict[str, str]) -> None:
    kept = entry(headers)
    assert kept.lifetime >= 0
    assert kept.age(NOW) >= 0
    cache.is_usable(kept, NOW, 1, 1)
    cache.is_storable(200, headers)
