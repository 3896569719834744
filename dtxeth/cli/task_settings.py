"""From options to the settings of a training task."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dtxeth.errors import ConfigError


def task_settings(
    pairs: Sequence[str],
    evaluate: str | None,
    live: int | None,
    patience: int | None,
    missing: str | None,
    categorical: str | None,
    class_weight: str | None,
    warm_start: int | None,
) -> dict[str, Any]:
    """Join ``KEY=VALUE`` pairs and the options of ``dtxeth task train``, which come before the pairs.

    Raises:
        ConfigError: An option that cannot be read.
    """
    options = {
        "evaluation": None if evaluate is None else _evaluation(evaluate),
        "live": _live(live, patience),
        "missing": missing,
        "categorical": categorical,
        "class_weight": None if class_weight is None else _weight(class_weight),
        "warm_start": warm_start,
    }
    given = {name: value for name, value in options.items() if value is not None}
    return dict(_setting(text) for text in pairs) | given


def _evaluation(text: str) -> dict[str, Any]:
    method, _, number = text.partition(":")
    match method, _number(number):
        case "leave-one-out", "":
            return {"method": method}
        case "folds", int(folds):
            return {"method": method, "folds": folds}
        case "split", float(share):
            return {"method": method, "share": share}
    raise ConfigError(f"evaluation {text!r} is not folds:5, split:0.2 or leave-one-out")


def _live(every: int | None, patience: int | None) -> dict[str, int] | None:
    if every is None:
        if patience is not None:
            raise ConfigError(f"--patience {patience} needs --live: say how often to evaluate")
        return None
    return {"every": every} if patience is None else {"every": every, "patience": patience}


def _weight(text: str) -> float | str:
    number = _number(text)
    return number if isinstance(number, str) else float(number)


def _number(text: str) -> int | float | str:
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        return text


def _setting(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not separator:
        raise ConfigError(f"setting {text!r} is not KEY=VALUE, such as max_rounds=30")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
