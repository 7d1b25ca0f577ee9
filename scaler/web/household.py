"""The metrics of the program itself, read at scrape time: build, loop, sources, door, configuration, disk and log."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from scaler.sources.timing import Times
from scaler.web.running import Running
from scaler.web.warm import WarmPools


def registry(running: Running) -> CollectorRegistry:
    """A registry of our own with the program's metrics and the process's."""
    own = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=own)
    own.register(_Household(running))
    own.register(WarmPools(running.warm, running.office))
    return own


class _Household(Collector):
    """Reads the running scaler whenever it is scraped."""

    def __init__(self, running: Running) -> None:
        self._running = running

    def collect(self) -> Iterator[Metric]:
        """Every family."""
        yield self._build()
        yield from self._office()
        yield from self._loop()
        yield from self._sources()
        yield from self._door()
        yield from self._reloads()
        yield from self._writes()
        yield self._hints()
        yield from self._certificates()
        yield from self._deeds()
        yield _count("log_lines_left_out", "Log lines left out: too many of their kind came.", self._running.left_out())

    def _build(self) -> Metric:
        info = GaugeMetricFamily("agent_scaler_build_info", "1, with the versions.", labels=("version", "python"))
        info.add_metric((self._running.version, platform.python_version()), 1)
        return info

    def _office(self) -> Iterator[Metric]:
        office = self._running.office
        leads = "1 while this replica leads, 0 while it stands by."
        yield GaugeMetricFamily("agent_scaler_leader", leads, office.term is not None)
        yield _count("terms", "Terms as the leader that this replica has begun.", office.begun)
        yield _count("lease_failures", "Calls for the Lease that did not work.", office.failures)

    def _loop(self) -> Iterator[Metric]:
        counts = self._running.counts
        yield _count("ticks", "Evaluations that gave an outcome.", counts.ticks)
        yield _count("ticks_at_once", "Evaluations that a reading called for.", counts.at_once)
        yield _count("failures", "Evaluations and readings that failed.", counts.failures)
        took, late = _times("tick_seconds", "How long evaluations took."), _times("tick_late_seconds", _LATE)
        _add(took, (), counts.took.times())
        _add(late, (), counts.late.times())
        yield took
        yield late
        yield GaugeMetricFamily("agent_scaler_pools", "Pools that are evaluated.", len(self._running.registry))

    def _sources(self) -> Iterator[Metric]:
        seconds = _times("source_read_seconds", "How long readings took, good and bad.", "source")
        faults = _counts("source_faults", "Readings that gave no value, by why.", "source", "fault")
        for health in self._running.sources():
            _add(seconds, (health.source,), health.times)
            for fault, count in health.faults.items():
                faults.add_metric((health.source, fault.value), count)
        yield seconds
        yield faults

    def _door(self) -> Iterator[Metric]:
        door = self._running.door
        ended = _counts("rpc_calls", "Calls that ended, streams included, by status.", "method", "code")
        for labels, count in door.calls.ended().items():
            ended.add_metric(labels, count)
        took = _times("rpc_seconds", "How long unary calls took.", "method")
        for method, times in door.calls.took().items():
            _add(took, (method,), times)
        yield ended
        yield took
        yield GaugeMetricFamily("agent_scaler_streams_open", "Streams that KEDA holds open.", door.open_streams)

    def _reloads(self) -> Iterator[Metric]:
        reloads = self._running.reloads
        yield _count("config_reloads", "Changed configuration files that were taken.", reloads.good)
        yield _count("config_reload_failures", "Changed configuration files that cannot be used.", reloads.bad)
        holds = "1 while the configuration file, as it is, is in force."
        yield GaugeMetricFamily("agent_scaler_config_last_reload_successful", holds, reloads.holds)
        last = "When the configuration in force was taken."
        yield GaugeMetricFamily("agent_scaler_config_last_success_timestamp_seconds", last, reloads.last_good)

    def _writes(self) -> Iterator[Metric]:
        good = _counts("writes", "Writes to disk that worked.", "what")
        bad = _counts("write_failures", "Writes to disk that did not work.", "what")
        size = _counts("write_bytes", "Bytes written to disk.", "what")
        help_ = "When the last write to disk worked."
        last = GaugeMetricFamily("agent_scaler_write_last_success_timestamp_seconds", help_, labels=("what",))
        for each in self._running.writes:
            good.add_metric((each.what,), each.good)
            bad.add_metric((each.what,), each.bad)
            size.add_metric((each.what,), each.size)
            if each.last is not None:
                last.add_metric((each.what,), each.last)
        return iter((good, bad, size, last))

    def _hints(self) -> Metric:
        hints = _counts("hints", "Announcements of callers, by what became of them.", "result")
        for result, count in self._running.hints().items():
            hints.add_metric((result,), count)
        return hints

    def _deeds(self) -> Iterator[Metric]:
        deeds = self._running.deeds
        orders = _counts("orders", "Orders of the drain protocol that pods were given.", "verb", "result")
        gates = _counts("gate_calls", "Calls to agents' gates.", "act", "result")
        writes = _counts("cluster_writes", "Calls to the API server that write.", "what", "result")
        for family, counts in ((orders, deeds.orders), (gates, deeds.gates), (writes, deeds.writes)):
            for labels, count in tuple(counts.items()):
                family.add_metric(labels, count)
        yield orders
        yield gates
        yield writes
        yield _count("events_untold", "Kubernetes Events that could not be written.", deeds.untold)

    def _certificates(self) -> Iterator[Metric]:
        help_ = "When the certificate in force expires, and the last authority of clients."
        expiry = GaugeMetricFamily("agent_scaler_certificate_expiry_timestamp_seconds", help_, labels=("door", "of"))
        good = _counts("certificate_reloads", "Certificates that were put in force.", "door")
        bad = _counts("certificate_reload_failures", "Certificates that cannot be used.", "door")
        help_ = "1 while the certificate in the files is in force."
        holds = GaugeMetricFamily("agent_scaler_certificate_last_reload_successful", help_, labels=("door",))
        for each in self._running.certificates():
            expiry.add_metric((each.door, "server"), each.expires)
            if each.client_ca_expires is not None:
                expiry.add_metric((each.door, "clients"), each.client_ca_expires)
            good.add_metric((each.door,), each.taken)
            bad.add_metric((each.door,), each.refused)
            holds.add_metric((each.door,), each.problem is None)
        return iter((expiry, good, bad, holds))


_LATE = "How late scheduled evaluations began; what holds the event loop up shows here."


def _count(name: str, help_: str, value: float) -> Metric:
    return CounterMetricFamily(f"agent_scaler_{name}", help_, value)


def _counts(name: str, help_: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"agent_scaler_{name}", help_, labels=labels)


def _times(name: str, help_: str, *labels: str) -> HistogramMetricFamily:
    return HistogramMetricFamily(f"agent_scaler_{name}", help_, labels=labels)


def _add(family: HistogramMetricFamily, labels: tuple[str, ...], times: Times) -> None:
    """A histogram's sample: Prometheus counts each bucket with all those below it."""
    bounds = (*(str(bound) for bound in times.bounds), "+Inf")
    family.add_metric(labels, list(zip(bounds, accumulate(times.counts), strict=True)), times.total)
