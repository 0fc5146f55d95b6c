"""Reading Gryzzly: lists by offset with and without a count, tasks and declarations by ids, users it refuses."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest
from starlette.responses import JSONResponse

from clients.errors import Cause, Rejected, Unavailable
from clients.gryzzly import Declaration, Gryzzly, Project, Task, User
from clients.pages import Refusal
from clients.simulator import Control, running
from clients.simulator import company as simulated
from tests.clients.conftest import TODAY, Answering, Simulated, items_of, read_all, read_until

BEGIN = TODAY - timedelta(days=60)


def user_ids(server: Simulated) -> list[str]:
    return [user.id for user in server.control.company.users]


def disable(server: Simulated, *indexes: int) -> list[str]:
    users = [replace(user, is_disabled=i in indexes) for i, user in enumerate(server.control.company.users)]
    server.control.company = replace(server.control.company, users=users)
    return [users[index].id for index in indexes]


async def test_users_are_read_by_offsets_up_to_the_count(gryzzly_server: Simulated) -> None:
    pages = await read_all(gryzzly_server.gryzzly(limit=20).users())
    assert [(len(page.items), page.total, page.next_token) for page in pages] == [
        (20, 42, "20"),
        (20, 42, "40"),
        (2, 42, None),
    ]
    assert [one.id for page in pages for one in page.items] == user_ids(gryzzly_server)


async def test_without_a_count_reading_ends_at_a_short_page(gryzzly_server: Simulated) -> None:
    gryzzly_server.control.switch("missing-count")
    pages = await read_all(gryzzly_server.gryzzly(limit=20).users())
    assert [(len(page.items), page.total) for page in pages] == [(20, None), (20, None), (2, None)]


async def test_without_a_count_a_full_last_page_is_followed_by_an_empty_one(gryzzly_server: Simulated) -> None:
    gryzzly_server.control.switch("missing-count")
    pages = await read_all(gryzzly_server.gryzzly(limit=21).users())
    assert [len(page.items) for page in pages] == [21, 21, 0]


async def test_a_limit_that_gryzzly_lowers_by_itself_skips_nobody(gryzzly_server: Simulated) -> None:
    gryzzly_server.control.switch("small-limit")
    pages = await read_all(gryzzly_server.gryzzly(limit=20).users())
    assert [len(page.items) for page in pages] == [3] * 14
    assert [one.id for page in pages for one in page.items] == user_ids(gryzzly_server)


async def test_a_limit_above_the_providers_is_followed_as_answered(gryzzly_server: Simulated) -> None:
    gryzzly_server.control.switch("missing-count")
    users = [simulated.User(f"u-{number}", "Zoé") for number in range(700)]
    gryzzly_server.control.company = replace(gryzzly_server.control.company, users=users)
    pages = await read_all(gryzzly_server.gryzzly(limit=1000).users())
    assert [len(page.items) for page in pages] == [500, 200]


async def test_an_offset_resumes_after_its_page(gryzzly_server: Simulated) -> None:
    first = await anext(gryzzly_server.gryzzly(limit=20).users())
    rest = await items_of(gryzzly_server.gryzzly(limit=20).users(token=first.next_token))
    assert [one.id for one in rest] == user_ids(gryzzly_server)[20:]


@pytest.mark.parametrize("options", [{"limit": 0}, {"ids_per_call": 0}])
def test_a_limit_below_one_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Gryzzly(None, api_key="any", **options)  # type: ignore[arg-type]


async def test_every_kind_of_record_is_read_whole(gryzzly_server: Simulated) -> None:
    done = datetime(2026, 11, 2, 17, 30, tzinfo=UTC)
    gryzzly_server.control.company = replace(
        gryzzly_server.control.company,
        users=[simulated.User("u-1", "Zoé Le Goff", "zoe@exemple.test", True, "admin")],
        projects=[simulated.Project("p-1", "Refonte", "REF", "cu-1", "done")],
        tasks=[simulated.Task("t-1", "p-1", "Recette", "t-0", done)],
        declarations={"u-1": [simulated.Declaration("d-1", "u-1", "t-1", date(2026, 11, 2), 12_600, "atelier")]},
    )
    gryzzly = gryzzly_server.gryzzly()
    users, declarations = await items_of(gryzzly.users()), await items_of(gryzzly.declarations(["u-1"], BEGIN, TODAY))
    assert users == [User("u-1", "Zoé Le Goff", "zoe@exemple.test", True, "admin")]
    assert await items_of(gryzzly.projects()) == [Project("p-1", "Refonte", "REF", "cu-1", "done")]
    assert await items_of(gryzzly.tasks(["p-1"])) == [Task("t-1", "p-1", "Recette", "t-0", done)]
    assert declarations == [Declaration("d-1", "u-1", "t-1", date(2026, 11, 2), 12_600, "atelier")]
    for private in ("Zoé", "zoe@exemple.test", "atelier"):
        assert private not in repr(users + declarations)


async def test_tasks_are_asked_for_a_few_projects_at_a_time(gryzzly_server: Simulated) -> None:
    company = gryzzly_server.control.company
    projects = [project.id for project in company.projects]
    read = await items_of(gryzzly_server.gryzzly(ids_per_call=3, limit=100).tasks(projects))
    assert [one.id for one in read] == [task.id for task in company.tasks]
    assert gryzzly_server.control.calls["POST /tasks.list"] == 2


async def test_no_ids_means_no_call(gryzzly_server: Simulated) -> None:
    assert await read_all(gryzzly_server.gryzzly().tasks([])) == []
    assert gryzzly_server.control.calls.total() == 0


async def test_declarations_are_those_of_the_users_in_the_window(gryzzly_server: Simulated) -> None:
    company, users = gryzzly_server.control.company, user_ids(gryzzly_server)[:12]
    days = [one.date for one in company.declarations[users[0]]]
    read = await items_of(gryzzly_server.gryzzly(ids_per_call=5).declarations(users, days[2], days[6]))
    expected = [one for user in users for one in company.declarations[user][2:7]]
    assert [(one.id, one.seconds) for one in read] == [(one.id, one.seconds) for one in expected]
    assert {one.date for one in read} == set(days[2:7])


async def test_declarations_resume_from_any_page(gryzzly_server: Simulated) -> None:
    users = user_ids(gryzzly_server)[:12]
    gryzzly = gryzzly_server.gryzzly(ids_per_call=5, limit=20)
    pages = await read_all(gryzzly.declarations(users, BEGIN, TODAY))
    assert [len(page.items) for page in pages] == [20, 20, 10, 20, 20, 10, 20]
    for index, page in enumerate(pages[:-1]):
        rest = await read_all(gryzzly.declarations(users, BEGIN, TODAY, token=page.next_token))
        assert rest == pages[index + 1 :]
    assert pages[-1].next_token is None


async def test_a_token_of_another_list_of_users_is_refused(gryzzly_server: Simulated) -> None:
    users = user_ids(gryzzly_server)
    first = await anext(gryzzly_server.gryzzly().declarations(users, BEGIN, TODAY))
    with pytest.raises(ValueError, match="another list of ids"):
        await read_all(gryzzly_server.gryzzly().declarations(users[:-1], BEGIN, TODAY, token=first.next_token))


async def test_a_disabled_user_is_skipped_and_named(gryzzly_server: Simulated) -> None:
    skipped = disable(gryzzly_server, 3, 4, 11)
    gryzzly_server.control.switch("disabled-users-refused")
    users = user_ids(gryzzly_server)[:12]
    pages = await read_all(gryzzly_server.gryzzly(ids_per_call=8, limit=200).declarations(users, BEGIN, TODAY))
    assert [user for page in pages for user in page.skipped] == skipped
    declarations = gryzzly_server.control.company.declarations
    expected = [one.id for user in users if user not in skipped for one in declarations[user]]
    assert [one.id for page in pages for one in page.items] == expected


async def test_reading_resumes_around_a_disabled_user(gryzzly_server: Simulated) -> None:
    skipped = disable(gryzzly_server, 2, 7)
    gryzzly_server.control.switch("disabled-users-refused")
    users = user_ids(gryzzly_server)[:8]
    gryzzly = gryzzly_server.gryzzly(ids_per_call=8, limit=10)
    pages = await read_all(gryzzly.declarations(users, BEGIN, TODAY))
    whole = {one.id for page in pages for one in page.items}
    assert len(whole) == 60
    for index, page in enumerate(pages[:-1]):
        rest = await read_all(gryzzly.declarations(users, BEGIN, TODAY, token=page.next_token))
        both = pages[: index + 1] + rest
        assert {one.id for page in both for one in page.items} == whole
        assert [user for page in both for user in page.skipped] == skipped


async def test_404_for_a_list_without_users_is_rejected(gryzzly_server: Simulated) -> None:
    gryzzly_server.control.switch("not-found")
    for pages in (gryzzly_server.gryzzly().users(), gryzzly_server.gryzzly().tasks(["p-1"])):
        _, error = await read_until(Rejected, pages)
        assert (error.status, error.cause) == (404, Cause.NOT_FOUND)


async def test_a_malformed_declaration_is_refused_and_its_page_kept(gryzzly_server: Simulated) -> None:
    gryzzly_server.control.switch("malformed-absence")
    user = user_ids(gryzzly_server)[0]
    [page] = await read_all(gryzzly_server.gryzzly(limit=100).declarations([user], BEGIN, TODAY))
    second = gryzzly_server.control.company.declarations[user][1]
    assert len(page.items) == 9
    assert page.refused == (Refusal(second.id, "duration: Input should be a valid integer"),)


async def test_a_negative_duration_is_refused(gryzzly_server: Simulated) -> None:
    declarations = {"u-1": [simulated.Declaration("d-1", "u-1", "t-1", TODAY, -1)]}
    gryzzly_server.control.company = replace(gryzzly_server.control.company, declarations=declarations)
    [page] = await read_all(gryzzly_server.gryzzly().declarations(["u-1"], TODAY, TODAY))
    assert page.refused == (Refusal("d-1", "duration: Input should be greater than or equal to 0"),)


async def test_a_page_that_repeats_ends_the_reading(gryzzly_server: Simulated) -> None:
    gryzzly_server.control.switch("repeated-token")
    pages, error = await read_until(Rejected, gryzzly_server.gryzzly().users())
    assert len(pages) == 2
    assert error.cause == Cause.REPEATED_PAGE


async def test_page_7_of_9_failing_three_times_is_read_and_for_ever_is_unavailable(gryzzly_server: Simulated) -> None:
    gryzzly_server.control.switch("page-7-fails-three-times")
    assert len(await items_of(gryzzly_server.gryzzly().users())) == 42
    gryzzly_server.control.switch("page-7-fails-forever")
    pages, error = await read_until(Unavailable, gryzzly_server.gryzzly().users())
    assert (len(pages), error.status) == (6, 500)
    gryzzly_server.control.switch("normal")
    rest = await items_of(gryzzly_server.gryzzly().users(token=pages[-1].next_token))
    assert [one.id for one in rest] == user_ids(gryzzly_server)[30:]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"count": 0}, "has no list of data"),
        ({"data": [], "count": 5}, "is an empty page before the count is reached"),
        ({"data": [{"id": "u-1", "name": "Zoé"}], "count": 9, "offset": 3}, "repeats a page"),
    ],
)
async def test_an_answer_that_would_lose_records_is_rejected(
    answer: dict[str, object], message: str, http: httpx.AsyncClient, control: Control
) -> None:
    async with running(Answering(JSONResponse(answer)).app) as url:
        pages, error = await read_until(Rejected, Simulated(url, control, http).gryzzly().users())
    assert pages == []
    assert message in str(error)


async def test_numbers_are_taken_as_ids_and_anything_else_is_refused(http: httpx.AsyncClient, control: Control) -> None:
    records = [{"id": 7, "name": "Zoé"}, {"id": "", "name": "Zoé"}, {"name": "Zoé"}, "Zoé", {"id": True, "name": "Zoé"}]
    async with running(Answering(JSONResponse({"data": records, "count": 5})).app) as url:
        [page] = await read_all(Simulated(url, control, http).gryzzly().users())
    assert page.items == (User("7", "Zoé"),)
    assert [one.external_id for one in page.refused] == ["", None, None, None]
    assert "Zoé" not in "".join(one.reason for one in page.refused)
