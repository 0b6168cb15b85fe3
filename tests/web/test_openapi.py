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
from tests.web.site import make_contact

EXAMPLES = 12
"""Per operation, and at least twice as many again of the covering phase: some two thousand requests in all."""

# positive_data_acceptance is left out: that a text is a phone number or a time is more than a schema can say.
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,unsupported_method,ignored_auth"
)


async def test_the_description_has_every_operation_with_its_role_and_its_refusals(any_site, client):
    async with client.get(f"{any_site.server.url}/api/v1/openapi.json") as response:
        assert (response.status, response.content_type) == (200, "application/json")
        described = await response.json()
    assert described["openapi"] == "3.1.0"
    assert described["security"] == [{"token": []}]
    found = {(method.upper(), path) for path, operations in described["paths"].items() for method in operations}
    assert found == {(endpoint.method, f"/api/v1{endpoint.path}") for endpoint in ENDPOINTS}
    for endpoint in ENDPOINTS:
        operation = described["paths"][f"/api/v1{endpoint.path}"][endpoint.method.lower()]
        assert operation["operationId"] == endpoint.operation_id
        assert f"role {endpoint.role}" in operation["description"]
        wanted = {"401", "403", "422", "503", str(endpoint.status if endpoint.response else 204)}
        assert wanted | {str(status) for status in endpoint.refusals} <= set(operation["responses"])
        for name in re.findall(r"\{(\w+)\}", endpoint.path):
            assert {"name": name, "in": "path"}.items() <= operation["parameters"][0].items() or any(
                {"name": name, "in": "path"}.items() <= parameter.items() for parameter in operation["parameters"]
            )
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
    # A body that breaks a schema by its mere size is refused for that.
    statuses = "[400, 401, 403, 404, 405, 409, 413, 422]"
    config = ["[checks]", f"negative_data_rejection.expected-statuses = {statuses}"]
    config += ["[[operations]]", 'include-operation-id = "delete_contact"', f'parameters = {{ id = "{spare["id"]}" }}']
    for kind, id_ in ids.items():
        given = f'id = "{id_}"' + (', list = "club"' if kind == "lists" else "")
        config += [
            "[[operations]]",
            f'include-path-regex = "^/api/v1/{kind}/.*\\\\{{id\\\\}}"',
            'exclude-operation-id = "delete_contact"',
            f"parameters = {{ {given} }}",
        ]
    config += ["[[operations]]", 'include-path-regex = "^/api/v1/workflows/"']
    config += [f'parameters = {{ workflow = "rules.drip", id = "{contact["id"]}" }}']
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
            *("--seed", "20260301", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    assert f"Selected: {len(ENDPOINTS)}/{len(ENDPOINTS)}" in done.stdout
    assert "repeatedly returned 404" not in done.stdout
    assert "Traceback" not in site.server.log.read_text()
