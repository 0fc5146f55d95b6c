"""One call to a provider: what is retried, what is not, how long it waits, and what it leaves in logs and metrics."""

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse, Response

from clients.errors import Cause, Rejected, Unauthorized, Unavailable
from clients.http import ProviderClient, RetryPolicy, Timeouts, retry_after_seconds
from clients.rate_limit import TokenBucket
from clients.simulator import Limit, gryzzly_app, payfit_app, running
from tests.clients.conftest import QUICK, Answering, Simulated, items_of, read_all, read_until

COLLABORATORS = "GET /companies/{companyId}/collaborators"


def counted(name: str, endpoint: str, outcome: str | None = None, provider: str = "PayFit") -> float:
    labels = {"provider": provider, "endpoint": endpoint} | ({"outcome": outcome} if outcome else {})
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_a_refused_key_fails_at_once(payfit_server: Simulated) -> None:
    payfit = payfit_server.payfit(api_key="wrong", company_id="any")
    with pytest.raises(Unauthorized) as caught:
        await read_all(payfit.collaborators())
    assert (caught.value.provider, caught.value.endpoint) == ("PayFit", COLLABORATORS)
    assert (caught.value.status, caught.value.cause) == (401, Cause.TOKEN_REFUSED)
    assert payfit_server.control.calls[COLLABORATORS] == 1


async def test_a_forbidden_call_fails_at_once(gryzzly_server: Simulated) -> None:
    gryzzly_server.control.switch("forbidden")
    with pytest.raises(Unauthorized) as caught:
        await read_all(gryzzly_server.gryzzly().users())
    assert (caught.value.status, caught.value.cause) == (403, Cause.FORBIDDEN)
    assert gryzzly_server.control.calls["POST /users.list"] == 1


async def test_a_key_revoked_midway_gives_the_pages_before_it(payfit_server: Simulated) -> None:
    payfit_server.control.switch("token-revoked-midway")
    pages, error = await read_until(Unauthorized, payfit_server.payfit().collaborators())
    assert error.cause == Cause.TOKEN_REFUSED
    assert [len(page.items) for page in pages] == [5, 5, 5]


async def test_page_7_of_9_failing_three_times_is_read_at_the_fourth(payfit_server: Simulated) -> None:
    payfit_server.control.switch("page-7-fails-three-times")
    pages = await read_all(payfit_server.payfit().collaborators())
    assert [len(page.items) for page in pages] == [5] * 8 + [2]
    assert payfit_server.control.answers[COLLABORATORS, 500] == 3
    assert payfit_server.control.answers[COLLABORATORS, 200] == 9


async def test_page_7_failing_for_ever_is_unavailable_after_every_attempt(payfit_server: Simulated) -> None:
    payfit_server.control.switch("page-7-fails-forever")
    pages, error = await read_until(Unavailable, payfit_server.payfit().collaborators())
    assert (error.status, error.cause) == (500, Cause.SERVER_ERROR)
    assert len(pages) == 6
    assert payfit_server.control.answers[COLLABORATORS, 500] == QUICK.attempts


async def test_after_a_failure_the_next_run_goes_on_from_the_last_page(payfit_server: Simulated) -> None:
    payfit_server.control.switch("page-7-fails-forever")
    pages, _ = await read_until(Unavailable, payfit_server.payfit().collaborators())
    payfit_server.control.switch("normal")
    pages += await read_all(payfit_server.payfit().collaborators(token=pages[-1].next_token))
    assert [one.id for page in pages for one in page.items] == [
        one.id for one in payfit_server.control.company.collaborators
    ]


async def test_a_connection_cut_in_mid_answer_is_tried_again(payfit_server: Simulated) -> None:
    payfit_server.control.switch("cut-connection")
    assert len(await items_of(payfit_server.payfit().collaborators())) == 42
    assert payfit_server.control.calls[COLLABORATORS] == 9 + 2


async def test_nobody_listening_is_unavailable(payfit_server: Simulated) -> None:
    async with running(Starlette()) as free_address:
        pass
    payfit = payfit_server.payfit(api_url=free_address, company_id="any")
    before = counted("provider_client_retries_total", COLLABORATORS)
    with pytest.raises(Unavailable) as caught:
        await read_all(payfit.collaborators())
    assert (caught.value.status, caught.value.cause) == (None, Cause.CONNECTION)
    assert counted("provider_client_retries_total", COLLABORATORS) - before == QUICK.attempts - 1


async def test_a_page_slower_than_the_read_time_out_is_unavailable(payfit_server: Simulated) -> None:
    payfit_server.control.switch("slow-page")
    retry = RetryPolicy(attempts=2, wait_initial=0.01, wait_jitter=0)
    payfit = payfit_server.payfit(timeouts=Timeouts(read=0.1), retry=retry)
    with pytest.raises(Unavailable) as caught:
        await read_all(payfit.collaborators())
    assert (caught.value.status, caught.value.cause) == (None, Cause.TIMEOUT)
    assert payfit_server.control.calls[COLLABORATORS] == 2 + 2


async def test_a_page_that_trickles_without_end_is_given_up(gryzzly_server: Simulated) -> None:
    gryzzly_server.control.switch("trickling-page")
    gryzzly = gryzzly_server.gryzzly(timeouts=Timeouts(read=30, total=0.2), retry=RetryPolicy(attempts=1))
    with pytest.raises(Unavailable) as caught:
        await read_all(gryzzly.users())
    assert caught.value.cause == Cause.TIMEOUT


async def test_retry_after_in_seconds_is_waited_for(gryzzly_server: Simulated) -> None:
    gryzzly_server.control.switch("rate-limited")
    start = time.monotonic()
    pages = await read_all(gryzzly_server.gryzzly(limit=100).users())
    assert [len(page.items) for page in pages] == [42]
    assert 1.0 <= time.monotonic() - start < 2.0  # QUICK would have waited 0.02 s
    assert gryzzly_server.control.answers["POST /users.list", 429] == 1


async def test_retry_after_as_a_date_is_waited_for(payfit_server: Simulated) -> None:
    payfit_server.control.switch("rate-limited-date")
    start = time.monotonic()
    pages = await read_all(payfit_server.payfit(page_size=50).collaborators())
    assert [len(page.items) for page in pages] == [42]
    assert 1.0 <= time.monotonic() - start < 2.5
    assert payfit_server.control.answers[COLLABORATORS, 429] == 1


async def test_a_429_without_retry_after_is_tried_again_after_the_computed_wait(payfit_server: Simulated) -> None:
    payfit_server.control.switch("rate-limited")
    start = time.monotonic()
    assert len(await items_of(payfit_server.payfit().collaborators())) == 42
    assert time.monotonic() - start < 1.0
    assert payfit_server.control.answers[COLLABORATORS, 429] == 9


async def test_a_longer_retry_after_than_the_policy_takes_fails_at_once_and_tells_it(gryzzly_server: Simulated) -> None:
    gryzzly_server.control.switch("rate-limited")
    gryzzly = gryzzly_server.gryzzly(retry=RetryPolicy(retry_after_max=0.5))
    with pytest.raises(Unavailable) as caught:
        await read_all(gryzzly.users())
    assert (caught.value.status, caught.value.cause, caught.value.retry_after) == (429, Cause.RATE_LIMITED, 1.0)
    assert gryzzly_server.control.calls["POST /users.list"] == 1


NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
LATER = format_datetime(NOON + timedelta(seconds=90), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": " 120 "}, 120.0),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": LATER, "Date": format_datetime(NOON, usegmt=True)}, 90.0),
        ({"Retry-After": LATER, "Date": format_datetime(NOON + timedelta(hours=1), usegmt=True)}, 0.0),
        ({"Retry-After": "Mon, 23 Nov 1998 12:00:00 GMT"}, 0.0),
    ],
)
def test_retry_after_is_read_in_both_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(httpx.Headers(headers)) == seconds


class AnyProvider(ProviderClient):
    provider = "Any"

    async def call(self, url: str, *, repeatable: bool) -> dict[str, object]:
        return await self._call("POST", url, "/things/{id}", ids={"id": "a/b c"}, body={}, repeatable=repeatable)


def any_provider(http: httpx.AsyncClient) -> AnyProvider:
    return AnyProvider(http, api_key="secret-key", rate_limit=TokenBucket(1000, 100), retry=QUICK)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_a_safe_call_is_repeated_after(status: int, http: httpx.AsyncClient) -> None:
    server = Answering(Response(status_code=status), JSONResponse({"well": True}))
    async with running(server.app) as url:
        assert await any_provider(http).call(url, repeatable=True) == {"well": True}


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
async def test_a_call_that_is_not_safe_to_repeat_is_sent_once(status: int, http: httpx.AsyncClient) -> None:
    server = Answering(Response(status_code=status), JSONResponse({"well": True}))
    async with running(server.app) as url:
        with pytest.raises(Unavailable):
            await any_provider(http).call(url, repeatable=False)
    assert len(server.paths) == 1


@pytest.mark.parametrize(
    ("answer", "cause", "status"),
    [
        (Response(status_code=400), Cause.REFUSED, 400),
        (Response(status_code=404), Cause.NOT_FOUND, 404),
        (Response(status_code=422), Cause.REFUSED, 422),
        (RedirectResponse("http://127.0.0.1:9/elsewhere"), Cause.REFUSED, 307),
        (Response("<html>"), Cause.UNREADABLE, 200),
        (Response("[1, 2]"), Cause.UNREADABLE, 200),
        (Response(""), Cause.UNREADABLE, 200),
    ],
)
async def test_an_answer_that_repeating_cannot_help_is_rejected_at_once(
    answer: Response, cause: Cause, status: int, http: httpx.AsyncClient
) -> None:
    server = Answering(answer)
    async with running(server.app) as url:
        with pytest.raises(Rejected) as caught:
            await any_provider(http).call(url, repeatable=True)
    assert (caught.value.cause, caught.value.status) == (cause, status)
    assert len(server.paths) == 1


@pytest.mark.parametrize("key", ["", "two words", "secret\n", "clé"])
def test_a_key_that_cannot_be_sent_is_refused_without_being_told(key: str, http: httpx.AsyncClient) -> None:
    with pytest.raises(
        ValueError, match=r"^The key of Any is empty, or holds a blank or a line break; configure it anew\.$"
    ):
        AnyProvider(http, api_key=key, rate_limit=TokenBucket(1000, 100))


@pytest.mark.parametrize("url", ["http://127.0.0.1:port", "partner-api.example", "ftp://partner-api.example"])
async def test_an_address_that_cannot_be_called_is_rejected(url: str, http: httpx.AsyncClient) -> None:
    with pytest.raises(Rejected, match="address") as caught:
        await any_provider(http).call(url, repeatable=True)
    assert (caught.value.cause, caught.value.status) == (Cause.REFUSED, None)


async def test_ids_are_escaped_in_the_path_and_absent_from_errors_and_logs(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "clients")
    server = Answering(JSONResponse({"message": "Jeanne Dupont is unknown"}, 404))
    async with running(server.app) as url:
        with pytest.raises(Rejected) as caught:
            await any_provider(http).call(url, repeatable=True)
    assert server.paths == ["/things/a%2Fb%20c"]
    assert str(caught.value) == "Any refused POST /things/{id} with 404; check the configured address and arguments."
    assert "a/b c" not in caplog.text
    assert "Jeanne" not in caplog.text
    assert "secret-key" not in caplog.text


async def test_the_runs_request_id_goes_with_every_call(payfit_server: Simulated) -> None:
    payfit = payfit_server.payfit(request_id="run-1")
    await read_all(payfit.collaborators())
    await read_all(payfit.with_request_id("run-2").contracts())
    assert list(payfit_server.control.request_ids) == ["run-1"] * (1 + 9) + ["run-2"] * 9


async def test_without_a_request_id_each_call_makes_its_own(gryzzly_server: Simulated) -> None:
    await read_all(gryzzly_server.gryzzly(limit=21).users())
    first, second = gryzzly_server.control.request_ids
    assert first != second
    assert len(first) == 32


async def test_one_log_line_sums_up_a_call(payfit_server: Simulated, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "clients")
    payfit_server.control.switch("page-7-fails-three-times")
    await read_all(payfit_server.payfit(request_id="run-1").collaborators())
    assert len(caplog.records) == 1 + 9  # the introspection and the pages
    record = caplog.records[7].__dict__
    text = f"provider call provider=PayFit endpoint={COLLABORATORS} outcome=ok status=200 attempts=4 duration_ms="
    assert caplog.messages[7].startswith(text)
    assert (record["provider"], record["endpoint"], record["outcome"]) == ("PayFit", COLLABORATORS, "ok")
    assert (record["status"], record["attempts"], record["request_id"]) == (200, 4, "run-1")
    assert 30 <= record["duration_ms"] < 2000  # three waits of at least 10 ms
    company = payfit_server.control.company
    for private in (company.id, company.collaborators[0].id, company.collaborators[0].email or "", "simulated-key"):
        assert private not in caplog.text


async def test_metrics_count_calls_and_time_by_endpoint_and_outcome(payfit_server: Simulated) -> None:
    names = ("provider_client_calls_total", "provider_client_call_seconds_count")
    before = [counted(name, COLLABORATORS, outcome) for name in names for outcome in ("ok", "unavailable")]
    retried = counted("provider_client_retries_total", COLLABORATORS)
    payfit_server.control.switch("page-7-fails-forever")
    with pytest.raises(Unavailable):
        await read_all(payfit_server.payfit().collaborators())
    after = [counted(name, COLLABORATORS, outcome) for name in names for outcome in ("ok", "unavailable")]
    assert [new - old for old, new in zip(before, after, strict=True)] == [6, 1, 6, 1]
    assert counted("provider_client_retries_total", COLLABORATORS) - retried == QUICK.attempts - 1


async def test_a_bucket_lets_a_burst_through_and_then_keeps_its_rate() -> None:
    bucket = TokenBucket(rate=100, burst=5)
    start = time.monotonic()
    moments = []
    for _ in range(15):
        await bucket.acquire()
        moments.append(time.monotonic() - start)
    assert moments[4] < 0.01
    assert 0.095 <= moments[14] < 0.2


async def test_waiting_calls_are_let_through_one_after_another() -> None:
    bucket = TokenBucket(rate=50, burst=1)
    start = time.monotonic()
    await asyncio.gather(*(bucket.acquire() for _ in range(6)))
    assert time.monotonic() - start >= 0.095


async def test_the_default_rates_stay_below_the_providers_limits(payfit_server: Simulated) -> None:
    control = payfit_server.control
    async with running(payfit_app(control)) as url:
        payfit = payfit_server.payfit(api_url=url, oauth_url=url, page_size=1, rate_limit=None)
        assert len(await items_of(payfit.collaborators())) == 42
        assert len(await items_of(payfit.contracts())) == 44
    async with running(gryzzly_app(control, limit=Limit(50, 1.0))) as url:  # ten times as fast, both
        gryzzly = payfit_server.gryzzly(api_url=f"{url}/v1", limit=1, rate_limit=TokenBucket(rate=40, burst=8))
        assert len(await items_of(gryzzly.users())) == 42
        assert len(await items_of(gryzzly.users())) == 42
    assert {status for _, status in control.answers} == {200}


async def test_a_client_without_its_own_limit_meets_the_providers(payfit_server: Simulated) -> None:
    control = payfit_server.control
    async with running(payfit_app(control, limit=Limit(20, 1.0))) as url:
        payfit = payfit_server.payfit(api_url=url, oauth_url=url, page_size=1, retry=RetryPolicy(attempts=1))
        with pytest.raises(Unavailable) as caught:
            await read_all(payfit.collaborators())
    assert (caught.value.status, caught.value.cause) == (429, Cause.RATE_LIMITED)
    assert control.answers[COLLABORATORS, 200] == 19


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the simulator's counters are plain numbers
            await asyncio.sleep(0.01)


async def test_cancelling_acts_at_once_while_a_slow_page_is_awaited(payfit_server: Simulated) -> None:
    control = payfit_server.control
    control.switch("slow-page")
    cancelled = counted("provider_client_calls_total", COLLABORATORS, "cancelled")
    task = asyncio.create_task(read_all(payfit_server.payfit().collaborators()))
    await until(lambda: control.waiting == 1)
    start = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - start < 0.5
    await until(lambda: control.abandoned == 1)  # the provider saw the connection close
    assert counted("provider_client_calls_total", COLLABORATORS, "cancelled") - cancelled == 1


async def test_cancelling_acts_at_once_while_a_retry_is_waited_for(gryzzly_server: Simulated) -> None:
    control = gryzzly_server.control
    control.switch("server-error")
    gryzzly = gryzzly_server.gryzzly(retry=RetryPolicy(wait_initial=60, wait_max=60))
    task = asyncio.create_task(read_all(gryzzly.users()))
    await until(lambda: control.answers["POST /users.list", 503] == 1)
    start = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - start < 0.5
    assert control.calls["POST /users.list"] == 1


async def test_cancelling_acts_at_once_while_the_own_limit_is_waited_for(gryzzly_server: Simulated) -> None:
    gryzzly = gryzzly_server.gryzzly(rate_limit=TokenBucket(rate=0.01, burst=1))
    task = asyncio.create_task(read_all(gryzzly.users()))
    await until(lambda: gryzzly_server.control.calls["POST /users.list"] == 1)
    start = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - start < 0.5
