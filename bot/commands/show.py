"""How explanations look in a terminal."""

from __future__ import annotations

from bot.commands.console import Console
from rules.decide import Tried


def show_rule(tried: Tried, console: Console, indent: int = 0) -> None:
    """Print a rule that was tried, with each of its conditions."""
    margin = " " * indent
    mark = console.style("✓", "green") if tried.fired else console.style("·", "dim")
    place = console.style(f"{tried.file}:{tried.line}", "dim")
    console.print(f"{margin}{mark} {tried.rule} ({tried.band}) {place}: {tried.outcome}")
    for reason in tried.reasons:
        held = console.style("yes", "green") if reason.held else console.style("no", "red")
        text = reason.text if len(reason.text) <= 100 else f"{reason.text[:99]}…"
        saw = f" (saw {reason.saw})" if reason.saw else ""
        console.print(f"{margin}    {'  ' * reason.depth}{held}  {text}{saw}")
