"""Reads the case files of tests/cases/adapters, one for each adapter. adapters/ADDING.md describes them."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from multidict import CIMultiDict

from adapters import ADAPTERS
from adapters.contract import Adapter, Inbound, Outbound, Receipt, WebhookRequest

Case = dict[str, Any]

DIRECTORY = Path(__file__).parents[1] / "cases" / "adapters"


def load(adapter: str) -> Case:
    """The case file of one adapter."""
    cases: Case = json.loads((DIRECTORY / f"{adapter}.json").read_text(encoding="utf-8"))
    return cases


def parameters(*parts: str) -> list[Any]:
    """(adapter, case) for every case in these parts of every adapter's file, named after both."""
    found = []
    for adapter in ADAPTERS:
        file = load(adapter)
        for part in parts:
            for case in file[part] if isinstance(file[part], list) else ():
                name = f"{adapter}-{part}-{case['name']}".replace(" ", "-")
                found.append(pytest.param(adapter, case, id=name))
    return found


def make(adapter: str, overrides: Mapping[str, str] | None = None) -> Adapter:
    """The adapter with the settings of its case file."""
    settings = {name: setting.default for name, setting in ADAPTERS[adapter].settings.items()}
    return ADAPTERS[adapter](settings | load(adapter)["settings"] | (overrides or {}))


def request(adapter: str, case: Mapping[str, Any]) -> WebhookRequest:
    """The webhook request of a case.

    Its body is given as `raw` text, as `hex` bytes, as a `form` (a value may be a list) or as `json`; without any it
    is empty.
    """
    webhook = load(adapter)["webhook"]
    headers = CIMultiDict({"Content-Type": webhook["content_type"], **case.get("headers", {})})
    if "form" in case:
        body = urlencode(case["form"], doseq=True).encode()
    elif "hex" in case:
        body = bytes.fromhex(case["hex"])
    elif "json" in case:
        body = json.dumps(case["json"]).encode()
    else:
        body = case.get("raw", "").encode()
    method = case.get("method", webhook.get("method", "POST"))
    return WebhookRequest(case.get("url", webhook["url"]), headers, body, method, case.get("at", 0))


def plain(event: Inbound | Receipt) -> Case:
    """An event as case files write it: a `type`, and the fields that are not at their defaults."""
    fields = asdict(event)
    optional: Case
    if isinstance(event, Inbound):
        fields["media"] = [[media.url, media.content_type] for media in event.media]
        optional = {"media": [], "carrier_action": None, "part": None}
    else:
        optional = {"error_code": "", "opted_out": False, "part": None, "reference": ""}
    shown = {name: value for name, value in fields.items() if optional.get(name, ...) != value}
    return {"type": type(event).__name__.lower(), **shown}


def outbound(case: Mapping[str, Any]) -> Outbound:
    """The message of a send case, on top of an ordinary one."""
    ordinary = {"id": "m1", "sender": "+12025550100", "recipient": "+12025550123", "body": "Hello"}
    fields = ordinary | case.get("message", {})
    return Outbound(**fields | {"media": tuple(fields.get("media", ()))})
