"""The description against the running server: schemathesis sends what it allows, and what it does not."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bot.web.api import ENDPOINTS
from tests.server import toml
from tests.web.browser import PASSWORD
from tests.web.site import make_contact
from tests.web.uploads import imported

EXAMPLES = 12
"""Per operation, and at least twice as many again of the covering phase: some two thousand requests in all."""

# positive_data_acceptance is left out: that a text is a phone number or a time is more than a schema can say.
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,unsupported_method,ignored_auth"
)

NEW = {
    "broadcasts": lambda name, contact: {"to": {"contacts": [contact]}, "body": name},
    "answers": lambda name, _: {"name": name, "body": "Hello!"},
    "users": lambda name, _: {"name": name, "password": PASSWORD},
    "tokens": lambda name, _: {"name": name},
}


async def test_the_description_has_every_operation_with_its_role_and_its_refusals(any_site, client):
    async with client.get(f"{any_site.server.url}/api/v1/openapi.json") as response:
        assert (response.status, response.content_type) == (200, "application/json")
        described = await response.json()
    assert described["openapi"] == "3.1.0"
    assert described["security"] == [{"token": []}, {"session": [], "csrf": []}]
    schemes = described["components"]["securitySchemes"]
    assert {name: (scheme["type"], scheme.get("in"), scheme.get("name")) for name, scheme in schemes.items()} == {
        "token": ("http", None, None),
        "session": ("apiKey", "cookie", "textwright_session"),
        "csrf": ("apiKey", "header", "X-CSRF-Token"),
    }
    found = {(method.upper(), path) for path, operations in described["paths"].items() for method in operations}
    assert found == {(endpoint.method, f"/api/v1{endpoint.path}") for endpoint in ENDPOINTS}
    for endpoint in ENDPOINTS:
        operation = described["paths"][f"/api/v1{endpoint.path}"][endpoint.method.lower()]
        assert operation["operationId"] == endpoint.operation_id
        assert f"role {endpoint.role}" in operation["description"]
        status = endpoint.status if endpoint.response or endpoint.stream else 204
        wanted = {"401", "403", "422", "503", str(status)} | {str(status) for status in endpoint.refusals}
        assert wanted <= set(operation["responses"])
        assert operation.get("security") == (None if endpoint.changes else [{"token": []}, {"session": []}])
        headers = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "header"}
        answered = set(operation["responses"][str(status)].get("headers", {}))
        assert ("If-Match" in headers, "412" in operation["responses"]) == (endpoint.if_match, endpoint.if_match)
        assert ("If-None-Match" in headers, "304" in operation["responses"]) == (endpoint.has_etag, endpoint.has_etag)
        assert ("Idempotency-Key" in headers) == ("Idempotent-Replayed" in answered) == endpoint.takes_key
        assert ("ETag" in answered) == bool(endpoint.response and (endpoint.has_etag or endpoint.if_match))
        for name in re.findall(r"\{(\w+)\}", endpoint.path):
            assert {"name": name, "in": "path"}.items() <= operation["parameters"][0].items() or any(
                {"name": name, "in": "path"}.items() <= parameter.items() for parameter in operation["parameters"]
            )
    imports = described["paths"]["/api/v1/imports"]["post"]
    assert set(imports["requestBody"]["content"]) == {"text/csv", "text/vcard", "application/octet-stream"}
    assert {"400", "413"} <= set(imports["responses"])
    assert set(described["paths"]["/api/v1/exports/contacts.csv"]["get"]["responses"]["200"]["content"]) == {"text/csv"}
    # Every schema that is referred to is there.
    text = str(described)
    names = set(re.findall(r"#/components/schemas/([\w\[\]-]+)", text))
    assert names <= set(described["components"]["schemas"])


@pytest.mark.slow
async def test_the_server_keeps_to_its_description_whatever_is_sent(site, client, new_phone, tmp_path):
    """No 5xx, no undocumented status, every answer as described, nothing accepted that the schemas forbid."""
    admin = site.api(client)
    customer = site.customer(client, new_phone())
    message = (await customer.text("HOURS"))["id"]
    await customer.text("TELL")
    await customer.wait_for(1)
    contact = await admin.contact_of(customer.phone)
    spare = await make_contact(admin, new_phone())
    (conversation,) = (await admin.get("/conversations", phone=customer.phone))["items"]
    notification = (await admin.get("/notifications"))["items"][0]
    ids = {"contacts": contact["id"], "messages": message, "conversations": conversation["id"]}
    _, enrolment = await admin.call("POST", "/workflows/rules.drip/enrolments", {"list": "club"})
    ids |= {"notifications": notification["id"], "lists": contact["id"], "enrolments": enrolment["id"]}
    ids["imports"] = (await imported(admin, f"phone\n{new_phone()}\n"))["id"]
    spares = {"delete_contact": {"id": spare["id"]}}
    for kind, body in NEW.items():
        what = kind.removesuffix("s")
        made = [await admin.call("POST", f"/{kind}", body(name, contact["id"])) for name in (f"a.{what}", f"b.{what}")]
        assert all(status in (201, 202) for status, _ in made), made
        ids[kind] = made[0][1]["id"]
        if kind != "broadcasts":  # these can only be called back
            spares[f"delete_{what}"] = {"id": made[1][1]["id"]}
    two = await make_contact(admin, new_phone(), phones=[{"number": new_phone()}, {"number": new_phone()}])
    spares["remove_phone"] = {"id": two["id"], "number": two["phones"][1]["number"]}
    await admin.call("POST", "/lists", {"name": "spare list"})
    spares["delete_list"] = {"list": "spare list"}
    # A body that breaks a schema by its mere size is refused for that.
    statuses = "[400, 401, 403, 404, 405, 409, 412, 413, 422]"
    config = ["[checks]", f"negative_data_rejection.expected-statuses = {statuses}"]
    for operation, values in spares.items():
        config += ["[[operations]]", f'include-operation-id = "{operation}"', f"parameters = {toml(values)}"]
    places = {f"{kind}/.*\\\\{{id\\\\}}": {"id": id_} for kind, id_ in ids.items()}
    places[r"lists/\\{list\\}"] = {"list": "club"} | {"id": contact["id"]}
    places[r"routes/\\{route\\}"] = {"route": "desk"}
    places["workflows/"] = {"workflow": "rules.drip", "id": contact["id"]}
    for place, values in places.items():
        config += [
            "[[operations]]",
            f'include-path-regex = "^/api/v1/{place}"',
            f"exclude-operation-id = {toml(list(spares))}",
            f"parameters = {toml(values)}",
        ]
    (tmp_path / "schemathesis.toml").write_text("\n".join(config) + "\n", encoding="utf-8")
    command = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    assert command, "schemathesis is not installed beside this Python (pip install -e '.[dev]')"
    done = await asyncio.to_thread(
        subprocess.run,
        [
            *(command, "--config-file", "schemathesis.toml", "run", f"{site.server.url}/api/v1/openapi.json"),
            *("-H", f"Authorization: Bearer {site.tokens['admin']}"),
            *("--mode", "all", "--checks", CHECKS, "--phases", "examples,coverage,fuzzing"),
            *("--max-examples", str(EXAMPLES), "--continue-on-failure", "--generation-database", "none"),
            *("--seed", "20260301", "--no-color", "--request-timeout", "60"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    assert f"Selected: {len(ENDPOINTS)}/{len(ENDPOINTS)}" in done.stdout
    # Nothing can be bought where no provider reaches us, and so there is no purchase to look at.
    missing = re.search(r"(\d+) operations? repeatedly returned 404", done.stdout)
    only_purchases = missing is not None and missing[1] == "1" and "GET /api/v1/purchases/{id}" in done.stdout
    assert missing is None or only_purchases, done.stdout[-5000:]
    assert "Traceback" not in site.server.log.read_text()
