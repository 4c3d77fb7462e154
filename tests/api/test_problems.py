"""Every error is a problem with a stable code, and the description of the API says so, with an example each."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from lookout.api.problems import Problem

from tests.api.conftest import Service, StartService, wait_until

CODES = {
    "picture_too_large": 413,
    "picture_unsupported": 415,
    "picture_unreadable": 422,
    "decoder_unavailable": 503,
    "too_busy": 429,
    "no_frame": 503,
    "unknown_model": 404,
    "model_rejected": 422,
    "model_busy": 409,
    "not_authorised": 401,
    "setting_invalid": 422,
}


@pytest.fixture(scope="module")
def description(shared: Service) -> dict[str, Any]:
    with shared.client() as client:
        return client.get("openapi.json").json()


def operations(description: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]


def test_what_is_not_there_is_a_problem(client: httpx.Client) -> None:
    response = client.get("api/nothing")
    problem = Problem.model_validate(response.json())
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, problem.status, problem.code) == (404, 404, "not_found")
    assert problem.type == "urn:lookout:problem:not_found"
    assert problem.remedy


def test_a_wrong_method_is_a_problem_that_names_the_right_one(client: httpx.Client) -> None:
    response = client.delete("api/state")
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert response.headers["allow"] == "GET, HEAD"
    assert response.json()["detail"] == "DELETE is not served here."
    assert response.json()["remedy"] == "What is: GET, HEAD."
    assert client.delete("api/settings").headers["allow"] == "GET, HEAD, PATCH"
    assert client.head("api/classify").status_code == 405
    for path, served in (
        ("api/events", "DELETE, GET, HEAD, POST"),
        ("api/events/1", "DELETE, GET, HEAD, PATCH"),
        ("api/events/batch", "POST"),
        ("api/events/summary", "GET, HEAD"),
        ("v2/models/any/infer", "POST"),
    ):
        assert client.put(path).headers["allow"] == served, path


@pytest.mark.parametrize(("method", "path"), [("PUT", "api/notify/snooze"), ("POST", "api/stream-link")])
def test_a_number_is_a_number_in_every_body(client: httpx.Client, method: str, path: str) -> None:
    """As the description says it: nothing that only looks like one is read as one."""
    for wrong in ("60", True):
        problem = client.request(method, path, json={"for_s": wrong}).json()
        assert problem["code"] == "request_invalid"
        assert "for_s" in problem["detail"]


def test_head_is_answered_as_get_without_the_body(client: httpx.Client) -> None:
    for path in ("healthz", "readyz", "api/state", "api/snapshot.jpg", "api/settings", "openapi.json", "api/models"):
        head = client.head(path)
        assert (head.status_code, head.content) == (200, b""), path
        assert int(head.headers["content-length"]) > 10, path
    assert client.head("api/nothing").status_code == 404
    for path in ("api/live.sse", "api/stream.mjpg"):  # what has no end has a head
        head = client.head(path)
        assert (head.status_code, head.content) == (200, b""), path
    wait_until(lambda: not any(client.get("api/about").json()["viewers"].values()))


def test_a_body_that_is_not_declared_as_json_gets_a_remedy(client: httpx.Client) -> None:
    """What `curl -X PUT -d true` sends."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    problem = client.put("api/paused", content="true", headers=headers).json()
    assert problem["code"] == "request_invalid"
    assert problem["detail"] == "The body must be JSON, but came as application/x-www-form-urlencoded."
    assert problem["remedy"] == "Send it with Content-Type: application/json."


def test_a_body_without_a_type_gets_a_remedy(client: httpx.Client) -> None:
    response = client.put("api/paused", content=b"false")
    assert response.status_code == 422
    assert response.json()["detail"] == "The body must be JSON, but came without a Content-Type."
    assert response.json()["remedy"] == "Send it with Content-Type: application/json."


def test_broken_json_is_reported_with_its_place(client: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    problem = client.patch("api/settings", content=b'{"answer": {', headers=headers).json()
    assert problem["detail"].startswith("The body is not JSON: ")
    assert "(character 12)" in problem["detail"]


def test_a_websocket_asked_for_like_a_page_says_what_it_is(client: httpx.Client) -> None:
    response = client.get("api/live")
    assert (response.status_code, response.json()["code"]) == (426, "websocket_needed")
    assert response.headers["upgrade"] == "websocket"
    assert "live.sse" in response.json()["remedy"]


def test_half_a_character_in_a_request_is_answered_in_words(client: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    response = client.patch("api/settings", content=b'{"\\ud800": 1}', headers=headers)
    assert (response.status_code, response.json()["code"]) == (422, "setting_invalid")


def test_an_unexpected_error_reveals_no_internals(start: StartService, caplog: pytest.LogCaptureFixture) -> None:
    service = start()

    def broken(*_: object) -> None:
        raise ValueError("/secret/path")

    service.hub.latest = broken  # type: ignore[method-assign, assignment]
    with service.client() as client:
        response = client.get("api/state")
    del service.hub.latest
    assert response.status_code == 500
    assert Problem.model_validate(response.json()).code == "error"
    assert "secret" not in response.text
    assert response.headers["x-content-type-options"] == "nosniff"
    wait_until(lambda: any(record.exc_info for record in caplog.records))  # the log says what happened


def test_every_promised_code_is_described_with_an_example(description: dict[str, Any]) -> None:
    found: dict[str, int] = {}
    for name, operation in operations(description):
        for status, answer in operation["responses"].items():
            for content in [c for kind, c in answer.get("content", {}).items() if kind == "application/problem+json"]:
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                for key, example in content["examples"].items():
                    problem = Problem.model_validate(example["value"])
                    assert (problem.code, problem.status) == (key, int(status)), name
                    assert problem.detail
                    found[key] = problem.status
    assert {code: found.get(code) for code in CODES} == CODES


def test_every_operation_has_a_name_a_summary_and_a_good_answer(description: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(description)]
    assert len(set(names)) == len(names)
    for name, operation in operations(description):
        assert operation["summary"], name
        assert operation["tags"], name
        assert any(status.startswith("2") for status in operation["responses"]), name
        assert "401" in operation["responses"], name
        assert "HTTPValidationError" not in str(operation), name


def test_the_contract_is_described_in_full(description: dict[str, Any]) -> None:
    expected = {
        "GET /api/state", "GET /api/live.sse", "GET /api/snapshot.jpg", "GET /api/stream.mjpg", "POST /api/classify",
        "GET /api/models", "GET /api/models/{name}", "GET /api/models/{name}/layers", "PUT /api/model",
        "GET /api/settings", "PATCH /api/settings", "PUT /api/paused", "GET /healthz", "GET /readyz",
        "GET /api/about", "POST /api/login", "POST /api/logout",
    }  # fmt: skip
    assert expected <= {name for name, _ in operations(description)}  # more may be added, nothing taken away


def test_the_list_for_people_names_every_operation_and_loads_nothing_from_elsewhere(
    client: httpx.Client, description: dict[str, Any]
) -> None:
    page = client.get("api/docs").text
    for name, _ in operations(description):
        assert f"<code>{name}</code>" in page
    assert "http://" not in page
    assert "https://" not in page
    assert client.get("docs").status_code == client.get("redoc").status_code == 404


def test_about_names_what_runs_and_whose_work_it_is(client: httpx.Client) -> None:
    reported = client.get("api/about").json()
    assert reported["version"]
    assert reported["onnxruntime"][0].isdigit()
    licences = {part["name"]: part["licence"] for part in reported["licences"]}
    assert all(licence not in ("", "unknown") for licence in licences.values()), licences


def test_a_device_has_the_name_it_was_given(start: StartService, client: httpx.Client) -> None:
    assert client.get("api/about").json()["name"] == ""
    with start({"server.name": "Küche ✓"}).client() as named:
        assert named.get("api/about").json()["name"] == "Küche ✓"


def test_static_files_are_asked_for_again_and_not_sent_again(client: httpx.Client) -> None:
    for path in ("", "static/main.js"):
        first = client.get(path)
        assert first.headers["cache-control"] == "no-cache"
        again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["static/../service/tokens.py", "static/%2e%2e/pyproject.toml", "static//etc/passwd"])
def test_nothing_beside_the_static_files_is_served(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_file_under_its_version_is_kept_for_ever_and_comes_packed(client: httpx.Client) -> None:
    page = client.get("")
    address = re.search(r'src="(static/[0-9a-f]{12}/main\.js)"', page.text)
    assert address
    file = client.get(address[1], headers={"Accept-Encoding": "gzip"})
    assert file.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert file.headers["content-encoding"] == "gzip"
    assert file.headers["vary"] == "Accept-Encoding"
    plain = client.get(address[1], headers={"Accept-Encoding": "gzip;q=0, br"})
    assert "content-encoding" not in plain.headers
    assert plain.content == file.content
    assert (
        client.get("static/000000000000/main.js").headers["cache-control"] == "no-cache"
    )  # of a page before an update
    assert client.get("static/main.js/main.js").status_code == 404


def test_a_page_names_all_modules_it_needs_so_that_none_waits_for_another(client: httpx.Client) -> None:
    page = client.get("").text
    for name in ("answer.js", "dom.js", "store.js"):
        assert re.search(rf'<link rel="modulepreload" href="static/[0-9a-f]{{12}}/{name}">', page), name
    for name in ("layers.js", "texts.en.js", "texts.zh-Hant.js"):
        assert f"/{name}" not in page, name
