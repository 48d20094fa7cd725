"""Metrics of the service, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.registry import Collector

from a2sb_core.jobs.queue import FINAL, JobQueue
from a2sb_core.service.uploads import Uploads


class Metrics(Collector):
    """Reads the metrics of a queue and of uploads when they are asked for."""

    def __init__(self, queue: JobQueue, uploads: Uploads) -> None:
        self.queue, self.uploads = queue, uploads
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def text(self) -> bytes:
        """Return all metrics as text."""
        return generate_latest(self.registry)

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics."""
        queue, counts = self.queue, self.queue.count()
        jobs = GaugeMetricFamily("a2sb_jobs", "Jobs that have not ended.", labels=["state"])
        for state in ("queued", "running"):
            jobs.add_metric([state], counts.get(state, 0))
        yield jobs
        ended = CounterMetricFamily("a2sb_jobs_ended", "Jobs that ended.", labels=["state"])
        for final in FINAL:
            ended.add_metric([final], queue.ended[final])
        yield ended
        yield SummaryMetricFamily(
            "a2sb_job_seconds",
            "Duration of jobs that ran, without the time that they waited.",
            count_value=queue.ran,
            sum_value=queue.seconds,
        )
        yield GaugeMetricFamily("a2sb_workers", "Jobs that run at a time.", len(queue.workers))
        yield CounterMetricFamily(
            "a2sb_workers_lost", "Processes that ended during a job.", queue.lost_workers
        )
        yield CounterMetricFamily("a2sb_uploads", "Uploads accepted.", self.uploads.count)
        yield CounterMetricFamily("a2sb_upload_bytes", "Bytes received.", self.uploads.size)
