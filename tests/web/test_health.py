"""What load balancers, Prometheus and browsers see."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from bot.store.migrate import migrations
from bot.web.api import ENDPOINTS
from bot.web.console.rendering import HEADERS
from tests.server import Customer, Server
from tests.web.conftest import BUSINESS
from tests.web.site import eventually


async def test_healthz_answers(any_site, client):
    async with client.get(f"{any_site.server.url}/healthz") as response:
        assert (response.status, await response.json()) == (200, {"status": "ok"})


async def test_readyz_says_what_it_has_looked_at(site, client):
    async with client.get(f"{site.server.url}/readyz") as response:
        assert response.status == 200
        ready = await response.json()
    version = (await site.api(client).get("/rules"))["version"]
    assert ready == {"status": "ready", "rules": version, "store": "ok", "migrations": len(migrations())}


async def test_metrics_parse_and_name_no_phone_and_no_text(any_site, client, new_phone):
    customer = any_site.customer(client, new_phone())
    await customer.text("HOURS")
    await customer.text("a body that is in no metric")
    await customer.wait_for(1)

    async def sent():
        values = {}
        async with client.get(f"{any_site.server.url}/metrics") as response:
            assert response.headers["Content-Type"].startswith("text/plain")
            text = await response.text()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                values[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
        key = ("textwright_sends_total", (("channel", "sim"), ("outcome", "sent")))
        return (text, values) if values.get(key) else None

    text, values = await eventually(sent, "the send is counted")
    assert values["textwright_messages_received_total", (("channel", "sim"), ("status", "received"))] >= 2
    assert values["textwright_webhooks_total", (("channel", "sim"), ("status", "200"))] >= 2
    assert values["textwright_rules_loaded", ()] > 3
    assert not re.search(r"\d{10}", re.sub(r"_created.*", "", text)), "a phone number"
    assert "in no metric" not in text


@pytest.mark.parametrize(
    ("path", "kind", "word"),
    [
        ("/", "text/html", "Corner Books"),
        ("/api/docs", "text/html", "RFC 9457"),
    ],
)
async def test_pages_load_under_a_strict_policy(any_site, client, path, kind, word):
    async with client.get(f"{any_site.server.url}{path}") as response:
        assert (response.status, response.content_type) == (200, kind)
        policy = response.headers["Content-Security-Policy"]
        assert policy == HEADERS["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        page = await response.text()
    assert word in page
    assert not re.search(r"<script(?! src=\"/)|\sstyle=|\son\w+=|src=[\"']http", page), "the policy would refuse it"


async def test_what_a_page_refers_to_is_there(any_site, client):
    for path in ("/", "/api/docs"):
        async with client.get(f"{any_site.server.url}{path}") as response:
            links = re.findall(r"(?:href|src)=\"(/[^\"]*)\"", await response.text())
        assert links
        for link in links:
            async with client.get(f"{any_site.server.url}{link}") as response:
                assert response.status in (200, 401), link


async def test_the_documentation_names_every_operation(any_site, client):
    async with client.get(f"{any_site.server.url}/api/docs") as response:
        page = await response.text()
    for endpoint in ENDPOINTS:
        path = f"/api/v1{endpoint.path}"
        assert f'<code>{endpoint.method}</code></td><th scope="row"><code>{path}</code>' in page


async def test_a_business_name_is_text_on_the_page(any_site, client):
    async with client.get(any_site.server.url) as response:
        page = await response.text()
    assert BUSINESS not in page
    assert "<bdi>Corner Books &lt;b&gt;&amp; Sons&lt;/b&gt;</bdi>" in page


@pytest.mark.parametrize("said_in", [pytest.param("config.toml", marks=pytest.mark.slow), "the command line"])
async def test_the_simulators_deliveries_are_shown_only_on_loopback(tmp_path, client, said_in):
    """Whoever reaches them reads what customers are told."""
    folder = tmp_path / "server"
    folder.mkdir()
    server = Server(folder, server={"host": "0.0.0.0"}) if said_in == "config.toml" else _WithHost(folder)
    async with server:
        async with client.get(f"{server.url}/simulator/sim/sent") as response:
            assert response.status == 404
        async with client.get(f"{server.url}/healthz") as response:
            assert response.status == 200


class _WithHost(Server):
    """`textwright serve --host 0.0.0.0`, beside a configuration that says 127.0.0.1."""

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "bot", "serve", "--config", str(self.config), "--host", "0.0.0.0"],
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


async def test_a_number_with_a_plain_plus_in_the_query_is_found(tmp_path, client):
    async with Server(tmp_path) as server:
        customer = Customer(server, client, "+12025550123")
        await customer.text("HOURS")
        await customer.wait_for(1)
        url = URL(f"{server.url}/simulator/sim/sent?phone=+12025550123", encoded=True)
        async with client.get(url) as response:
            assert len((await response.json())["items"]) == 1
