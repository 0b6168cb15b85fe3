"""`pip install .` into an empty environment gives the same working textwright."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.server import ROOT, free_port

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    pip = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, str(ROOT)], check=True, cwd=folder)
    return folder / "venv" / "bin" / "textwright"


def test_it_checks_its_own_rules_in_an_empty_folder(installed: Path, tmp_path: Path):
    done = subprocess.run([installed, "check"], cwd=tmp_path, env=_clean(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok: " in done.stdout


def test_it_serves_and_shows_its_pages(installed: Path, tmp_path: Path):
    port = free_port()
    command = [str(installed), "serve", "--port", str(port)]
    with subprocess.Popen(command, cwd=tmp_path, env=_clean(), stderr=subprocess.DEVNULL) as server:
        try:
            assert _get(f"http://127.0.0.1:{port}/readyz")
            assets = ("/assets/console.css", "/assets/console.js", "/assets/htmx.min.js", "/assets/icon.svg")
            for path in ("/", "/api/docs", *assets, "/api/v1/openapi.json"):
                assert _get(f"http://127.0.0.1:{port}{path}")
        finally:
            server.terminate()
        assert server.wait(20) == 0
    assert (tmp_path / "textwright.db").exists()


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def _get(url: str, seconds: float = 20.0) -> bytes:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                body: bytes = response.read()
                return body
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
