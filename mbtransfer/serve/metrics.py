"""What the server counts, for Prometheus."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from mbtransfer.serve.watchdog import Fault

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0)
"""Upper ends of the histograms' bins, seconds."""


class Metrics:
    """The counts of one server, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self.observations = self._counter("observations", "observations that were answered")
        self._safe = Counter(
            "mbtransfer_safe_actions", "answers with the safe action", ["fault"], registry=self._registry
        )
        for fault in Fault:
            self._safe.labels(fault.value)
        self.errors = self._counter("errors", "messages that could not be understood")
        self.changes = self._counter("model_changes", "changes of the model")
        self.robots = Gauge("mbtransfer_robots", "robots that are connected", registry=self._registry)
        self.decision = self._histogram("decision_seconds", "time of a decision itself")
        self.wait = self._histogram("wait_seconds", "time that an observation waited for other decisions")
        self.answer = self._histogram("answer_seconds", "time from an observation to its answer")

    def safe(self, fault: Fault) -> None:
        """Count an answer with the safe action."""
        self._safe.labels(fault.value).inc()

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        found: bytes = generate_latest(self._registry)
        return found

    def _counter(self, name: str, about: str) -> Counter:
        return Counter(f"mbtransfer_{name}", about, registry=self._registry)

    def _histogram(self, name: str, about: str) -> Histogram:
        return Histogram(f"mbtransfer_{name}", about, buckets=BUCKETS, registry=self._registry)
