"""axe-core's judgement of a page: can people with a screen reader, a keyboard or weak eyes use it?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.async_api import Page

from tests.browser.chromium import missing

SCRIPT = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
GRAVE = ("serious", "critical")
# `preload` would fetch style sheets again, which a strict CSP refuses and the watch then reports.
RUN = "() => axe.run(document, {resultTypes: ['violations'], preload: false}).then(result => result.violations)"


def axe_source() -> str:
    """axe-core, as npm put it here."""
    if not SCRIPT.exists():
        missing("accessibility tests need axe-core: run `npm ci` in tests/browser")
    return SCRIPT.read_text(encoding="utf-8")


async def grave_violations(page: Page, source: str) -> list[dict[str, Any]]:
    """What axe calls serious or critical. The script comes by the debugging protocol: the CSP is untouched."""
    if not await page.evaluate("() => 'axe' in window"):
        await page.evaluate(source + "\n;undefined")
    return [one for one in await page.evaluate(RUN) if one["impact"] in GRAVE]


async def assert_accessible(page: Page, source: str) -> None:
    """Fail, with the rule, the element and what would mend it."""
    found = await grave_violations(page, source)
    assert not found, f"axe on {page.url}:\n" + "\n".join(map(_told, found))


def _told(violation: dict[str, Any]) -> str:
    lines = [f"  {violation['id']} ({violation['impact']}): {violation['help']}"]
    for node in violation["nodes"]:
        lines.append(f"    {' '.join(map(str, node['target']))}: {node['html']}")
        lines += [f"      {line.strip()}" for line in (node.get("failureSummary") or "").splitlines()]
    return "\n".join(lines)
