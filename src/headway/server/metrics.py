"""Counters of one process, as Prometheus reads them (text format 0.0.4). Plain numbers: one thread writes them."""

from __future__ import annotations

from bisect import bisect_left

__all__ = ["Metrics"]

_BOUNDS_US = (100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000)


class Metrics:
    """What was asked and how it was answered.

    Examples
    --------
    >>> metrics = Metrics()
    >>> metrics.count("/v1/predict", 200)
    >>> metrics.observe(300, predictions=2)
    >>> metrics.text({}).splitlines()[1]
    'headway_requests_total{path="/v1/predict",status="200"} 1'
    """

    def __init__(self) -> None:
        self._requests: dict[tuple[str, int], int] = {}
        self._buckets = [0] * (len(_BOUNDS_US) + 1)
        self._total_us = 0
        self._predictions = 0
        self._warned = 0

    def count(self, path: str, status: int) -> None:
        """Count one reply."""
        key = path, status
        self._requests[key] = self._requests.get(key, 0) + 1

    def observe(self, latency_us: int, *, predictions: int, warned: int = 0) -> None:
        """Count one answered request: from its last byte to its logging, its predictions, and those with a warning."""
        self._warned += warned
        self._buckets[bisect_left(_BOUNDS_US, latency_us)] += 1
        self._total_us += latency_us
        self._predictions += predictions

    def text(self, gauges: dict[str, float]) -> str:
        """Return all of it, with ``gauges`` beside."""
        lines = ["# TYPE headway_requests_total counter"]
        lines += [
            f'headway_requests_total{{path="{path}",status="{status}"}} {count}'
            for (path, status), count in sorted(self._requests.items())
        ]
        lines += ["# TYPE headway_predictions_total counter", f"headway_predictions_total {self._predictions}"]
        if self._warned:
            lines += [
                "# TYPE headway_contract_warnings_total counter",
                f"headway_contract_warnings_total {self._warned}",
            ]
        lines.append("# TYPE headway_predict_seconds histogram")
        below = 0
        for bound_us, count in zip(_BOUNDS_US, self._buckets, strict=False):
            below += count
            lines.append(f'headway_predict_seconds_bucket{{le="{bound_us / 1e6:g}"}} {below}')
        total = below + self._buckets[-1]
        lines += [
            f'headway_predict_seconds_bucket{{le="+Inf"}} {total}',
            f"headway_predict_seconds_sum {self._total_us / 1e6:.6f}",
            f"headway_predict_seconds_count {total}",
        ]
        for name, value in gauges.items():
            lines += [f"# TYPE headway_{name} gauge", f"headway_{name} {value:g}"]
        return "\n".join(lines) + "\n"
