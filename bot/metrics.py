"""What Prometheus may ask. No phone number and no text is ever a label."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._received = Counter(
            "textwright_messages_received", "Inbound messages", ["channel", "status"], registry=self._registry
        )
        self._sent = Counter(
            "textwright_sends", "Attempts to send, by outcome", ["channel", "outcome"], registry=self._registry
        )
        self._notified = Counter(
            "textwright_notifications", "Staff webhook deliveries", ["route", "outcome"], registry=self._registry
        )
        self._occasions = Counter(
            "textwright_occasions", "Waits that were over and events from outside", ["event"], registry=self._registry
        )
        self.due_seconds = Gauge(
            "textwright_due_late_seconds",
            "How late the oldest wait was when it was dealt with",
            registry=self._registry,
        )
        self._webhooks = Counter(
            "textwright_webhooks", "Provider webhook requests", ["channel", "status"], registry=self._registry
        )
        self._batches = Histogram(
            "textwright_batch_size", "Messages per commit", buckets=_BATCH_SIZES, registry=self._registry
        )
        self.rules_rejected = Counter(
            "textwright_rule_reloads_rejected", "Reloads that kept the old rules", registry=self._registry
        )
        self._out = Gauge("textwright_channel_out", "Whether a channel is out", ["channel"], registry=self._registry)
        self._unregistered = Gauge(
            "textwright_numbers_unregistered", "Numbers that carriers block", ["channel"], registry=self._registry
        )
        self.rules_loaded = Gauge("textwright_rules_loaded", "Rules in force", registry=self._registry)

    def received(self, channel: str, status: str) -> None:
        """Count an inbound message: received, duplicate or failed."""
        self._received.labels(channel, status).inc()

    def sent(self, channel: str, outcome: str) -> None:
        """Count an attempt to send: sent, or a send error's outcome."""
        self._sent.labels(channel, outcome).inc()

    def notified(self, route: str, outcome: str) -> None:
        """Count a delivery to staff: delivered, retry or dead."""
        self._notified.labels(route, outcome).inc()

    def dealt(self, event: str) -> None:
        """Count an occasion that was no message: a wait that was over, a list that was joined, ..."""
        self._occasions.labels(event).inc()

    def webhook(self, channel: str, status: int) -> None:
        """Count a webhook request by the status that it was answered."""
        self._webhooks.labels(channel, str(status)).inc()

    def batch(self, size: int) -> None:
        """Observe the size of a committed batch."""
        self._batches.observe(size)

    def channel(self, name: str, *, out: bool, unregistered: int) -> None:
        """Set how a channel stands."""
        self._out.labels(name).set(int(out))
        self._unregistered.labels(name).set(unregistered)

    def exposition(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self._registry)
