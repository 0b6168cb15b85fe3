"""What the benchmark prints."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.load import Round


@dataclass(slots=True)
class Measure:
    """One measure: rounds of bare and of ours in turn. `target` is the least share of bare's rate."""

    name: str
    target: float
    bare: list[Round] = field(default_factory=list)
    ours: list[Round] = field(default_factory=list)
    loop_share: float = 0.0
    """How much of our CPU time was the event loop's own."""

    @property
    def ratios(self) -> list[float]:
        """Ours by bare, of each pair of rounds."""
        return [mine.rate / theirs.rate for theirs, mine in zip(self.bare, self.ours, strict=True)]

    def as_json(self) -> dict[str, Any]:
        """All figures: rates per second, times in milliseconds."""
        ratio = median(self.ratios)
        return {
            "name": self.name,
            "bare": _summary(self.bare),
            "ours": _summary(self.ours) | {"loop_cpu_share": round(self.loop_share, 2)},
            "ratios": [round(value, 3) for value in self.ratios],
            "ratio": round(ratio, 3),
            "target": self.target,
            "passed": ratio >= self.target,
        }

    def print(self) -> None:
        """As a table."""
        figures = self.as_json()
        print(f"\n{self.name}")
        print(f"  {'':<12}{'messages/s':>12}{'p50 ms':>10}{'p99 ms':>10}{'CPU us/message':>16}")
        for label, key in (("bare aiohttp", "bare"), ("Textwright", "ours")):
            row = figures[key]
            print(
                f"  {label:<12}{row['rate']:>12,.0f}{row['p50_ms']:>10.1f}{row['p99_ms']:>10.1f}{row['cpu_us']:>16.0f}"
            )
        ratios = "  ".join(f"{value:.2f}" for value in self.ratios)
        word = "pass" if figures["passed"] else "SHORT"
        print(f"  ours / bare, round by round: {ratios}")
        print(f"  median {figures['ratio']:.2f}, target {self.target:.2f}: {word}")
        print(f"  {100 * self.loop_share:.0f}% of our CPU time is the event loop's, the rest the store's threads'")
        shares = [100 * figures[key]["load_cpu_share"] for key in ("bare", "ours")]
        print("  the load generator was busy for {:.0f}% of the time with bare, {:.0f}% with ours".format(*shares))


def _summary(rounds: list[Round]) -> dict[str, Any]:
    return {
        "rate": round(median(item.rate for item in rounds), 1),
        "rates": [round(item.rate, 1) for item in rounds],
        "p50_ms": round(1e3 * median(item.percentile(0.5) for item in rounds), 2),
        "p99_ms": round(1e3 * median(item.percentile(0.99) for item in rounds), 2),
        "load_cpu_share": round(median(item.load_cpu_seconds / item.seconds for item in rounds), 2),
        "cpu_us": round(1e6 * median(item.cpu_per_message for item in rounds), 1),
    }
