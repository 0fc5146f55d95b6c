"""What a client may see of an error."""

from __future__ import annotations

from graphql import GraphQLError

from schema.errors import masked
from server.errors import Forbidden


def test_an_expected_error_names_the_request() -> None:
    shown = masked(GraphQLError("No.", path=["users"], original_error=Forbidden("No.")), "r1")
    assert shown.extensions is not None
    assert (shown.extensions["code"], shown.extensions["instance"]) == ("FORBIDDEN", "urn:request:r1")


def test_an_unexpected_error_shows_nothing_of_its_cause() -> None:
    shown = masked(GraphQLError("secret", path=["users"], original_error=KeyError("secret")), None)
    assert shown.extensions is not None
    assert (shown.extensions["code"], shown.extensions["status"]) == ("INTERNAL", 500)
    assert "secret" not in shown.message


async def test_a_wrong_value_in_a_variable_is_located(graphql, database) -> None:  # type: ignore[no-untyped-def]
    document = "mutation ($input: ForecastsWriteInput!) { forecastsWrite(input: $input) { problems { code } } }"
    unit = {"userId": "x", "projectId": "0190b3f0-5d1c-7cc3-8c2b-5f0a3c1e9d10", "month": "2026-13", "days": "1"}
    errors = await graphql(None, document, errors=True, input={"cells": [unit]})
    places = [place for error in errors for place in error["extensions"]["errors"]]
    assert [(place["path"], place["code"]) for place in places] == [
        (["cells", "0", "userId"], "INVALID_UUID"),
        (["cells", "0", "month"], "INVALID_MONTH"),
    ]
    assert places[1]["message"] == 'Month must be a month such as "2026-03".'
