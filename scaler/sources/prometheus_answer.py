"""The result of an instant query, read as exactly one number.

Shapes (https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries): a vector is a list of
``{"metric": labels, "value": [seconds, "number"]}``, a scalar the bare pair, a range has ``values`` in its series and a
native histogram ``histogram``.
"""

from __future__ import annotations

from scaler.core.types import Known
from scaler.sources.health import Failed, Fault
from scaler.sources.number import sample
from scaler.sources.text import cut, kind

NAMED = 3  # series that a sentence names
ADVICE = "one number is needed: wrap the query in sum() or max()"


def number(result: object) -> Known | Failed:
    """The one number, at the instant the server evaluated it.

    A negative number is a failure like NaN or an infinity (see ``number``).
    """
    if not isinstance(result, list):
        return Failed(Fault.GARBAGE, f"the result is {kind(result)}, not a list")
    if result and not isinstance(result[0], dict):
        return _sample(result)
    if not result:
        return Failed(Fault.EMPTY, "no series matches")
    if len(result) > 1:
        return Failed(Fault.SEVERAL, f"{len(result)} series match ({_names(result)}); {ADVICE}")
    return _series(result[0])


def _series(series: dict[str, object]) -> Known | Failed:
    if "values" in series:
        return Failed(Fault.KIND, "the result is a range of samples; take the range selector away")
    if "histogram" in series or "histograms" in series:
        return Failed(Fault.KIND, "the result is a histogram; take histogram_quantile() or histogram_sum() of it")
    return _sample(series.get("value"))


def _sample(pair: object) -> Known | Failed:
    """A ``[seconds, "number"]`` pair."""
    match pair:
        case [int() | float() as at, str() as text]:
            return _known(text, at)
        case _:
            return Failed(Fault.GARBAGE, f'the sample is {kind(pair)}, not [seconds, "number"]')


def _known(text: str, at: float) -> Known | Failed:
    try:
        value, instant = float(text), float(at)
    except (ValueError, OverflowError):
        return Failed(Fault.KIND, f"the value is {cut(text, 40)!r}, not a number")
    return sample(value, instant, cut(text, 40))


def _names(series: list[object]) -> str:
    """The labels of the first few series."""
    shown = [_labels(s.get("metric")) for s in series[:NAMED] if isinstance(s, dict)]
    return ", ".join(shown) + (", …" if len(series) > NAMED else "")


def _labels(metric: object) -> str:
    pairs = metric.items() if isinstance(metric, dict) else ()
    return cut("{" + ", ".join(f'{k}="{v}"' for k, v in pairs) + "}", 80)
