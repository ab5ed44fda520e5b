"""Penalised logistic regression after Firth: finite estimates whatever is separated.

With few failures the ordinary fit runs to infinity as soon as one column is present in all of them.
Firth's penalty, Jeffreys' prior, removes the first-order bias and keeps every estimate finite.
"""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ITERATIONS = 60
HALVINGS = 25
MOST = 5.0  # log odds that one step may move a coefficient
CLOSE = 1e-5  # steps below this end the fit


class Fit(NamedTuple):
    """Coefficients (log odds ratios) and their standard errors, one a column.

    Where `converged` is False, `reason` says why, and the figures are those of the last step.
    """

    coefficients: "Floats"
    errors: "Floats"
    converged: bool
    iterations: int
    reason: str = ""


class _Point(NamedTuple):
    """The penalised likelihood at one place, and where it goes from there."""

    likelihood: float
    step: "Floats"
    inverse: "Floats"  # of the information


def firth(design: "Floats", failed: "Floats") -> Fit:
    """Fit P(failed) = logistic(design @ b) by penalised likelihood.

    `design` has one row a trial and one column a coefficient (the intercept is a column of ones);
    `failed` holds 0 and 1. Fisher scoring on the modified score X'(y - p + h (1/2 - p)), h the
    leverages, with the information of the data so augmented, each step halved until the penalised
    likelihood log L + 1/2 log det I rises. Standard errors are from the inverse information, for
    Wald intervals: profile likelihood, better where failures are few, needs two more fits a column.
    Firth 1993, doi:10.1093/biomet/80.1.27; Heinze and Schemper 2002, doi:10.1002/sim.1047.
    """
    import numpy as np

    columns = design.shape[1]
    at: Floats = np.zeros(columns)
    point = _point(design, failed, at)
    if point is None:
        nothing = np.full(columns, np.nan)
        return Fit(at, nothing, False, 0, "some columns say the same thing")
    for iteration in range(1, ITERATIONS + 1):
        step = point.step * min(1.0, MOST / max(float(np.abs(point.step).max()), MOST))
        if float(np.abs(step).max()) < CLOSE:
            return Fit(at, _errors(point), True, iteration)
        for _ in range(HALVINGS):
            there = _point(design, failed, at + step)
            if there is not None and there.likelihood >= point.likelihood - 1e-10:
                break
            step = step / 2
        else:
            reason = "no step raised the penalised likelihood"
            return Fit(at, _errors(point), False, iteration, reason)
        at, point = at + step, there
    reason = f"it had not settled after {ITERATIONS} steps"
    return Fit(at, _errors(point), False, ITERATIONS, reason)


def _point(design: "Floats", failed: "Floats", at: "Floats") -> _Point | None:
    """None where the information is singular."""
    import numpy as np

    odds = design @ at
    chance = 1 / (1 + np.exp(-np.clip(odds, -500, 500)))
    weight = chance * (1 - chance)
    weighed = design * weight[:, None]
    information = design.T @ weighed
    sign, determinant = np.linalg.slogdet(information)
    if sign <= 0 or determinant < -500 or np.linalg.cond(information) > 1e12:
        return None
    inverse: Floats = np.asarray(np.linalg.inv(information), dtype=np.float64)
    leverage = np.einsum("ij,ij->i", design @ inverse, weighed)
    score = design.T @ (failed - chance + leverage * (0.5 - chance))
    likelihood = float(np.sum(failed * odds - np.logaddexp(0, odds)) + determinant / 2)
    # Each trial counts 1 + h times: half of h of either outcome is what the penalty adds.
    steepness = design.T @ (weighed * (1 + leverage)[:, None])
    step: Floats = np.asarray(np.linalg.solve(steepness, score), dtype=np.float64)
    return _Point(likelihood, step, inverse)


def _errors(point: _Point) -> "Floats":
    import numpy as np

    errors: Floats = np.sqrt(np.maximum(np.diag(point.inverse), 0.0))
    return errors
