"""Calibration of a margin to a probability: Platt's sigmoid, which keeps the order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from alerting.deferred import np, npt
from alerting.learning.features.plan import STORED

Floats: TypeAlias = "npt.NDArray[np.float64]"


@dataclass(frozen=True)
class Platt:
    """p = 1 / (1 + exp(-(slope * margin + intercept))), with slope > 0."""

    __pydantic_config__ = STORED
    slope: float
    intercept: float

    def probability(self, margin: Floats) -> Floats:
        """Return the calibrated probability of each margin."""
        return sigmoid(self.slope * margin + self.intercept)

    def slope_between(self, base: float, margin: float) -> float:
        """Return the change of the probability per unit of margin, or its limit."""
        score, usual = (float(p) for p in self.probability(np.array([margin, base])))
        # the limit of the ratio: the sigmoid's own slope
        at_base = self.slope * usual * (1 - usual)
        return (score - usual) / (margin - base) if abs(margin - base) > 1e-9 else at_base


def sigmoid(z: Floats) -> Floats:
    """Return the logistic function, without overflow."""
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0 / (1.0 + small), small / (1.0 + small))


def fit_platt(
    margin: Floats,
    label: npt.NDArray[np.int8],
    weight: Floats | None = None,
    iterations: int = 100,
    problems: int | None = None,
) -> Platt:
    """Fit by Newton's method with Platt's smoothed targets (Platt 1999; Lin, Lin and Weng 2007).

    Smoothing keeps both numbers finite when classes separate, and with one class only. If higher
    margins do not mean more problems here, the slope stays at 1 / spread of the margins and only
    the intercept is fitted: the model decides the order. `weight`: of each row; all count alike
    without. `problems`: how many problems the positive rows are of, which together say no more than
    that many observations; None: each row is one.
    """
    rows = int(label.sum())
    positives = rows if problems is None else min(problems, rows)
    negatives = (len(label) - rows) * (positives / rows if rows else 1)
    target = np.where(label == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    weight = np.ones(len(label)) if weight is None else weight
    centre = float(np.mean(margin))
    scale = float(np.std(margin)) or 1.0
    z = (margin - centre) / scale
    slope, intercept = _newton(z, target, weight, iterations)
    if slope <= 1e-6:
        slope = 1.0
        intercept = _newton_intercept(z, target, weight, iterations)
    return Platt(slope / scale, intercept - slope * centre / scale)


def _newton(z: Floats, target: Floats, weight: Floats, iterations: int) -> tuple[float, float]:
    mean = float(np.average(target, weights=weight))
    theta = np.array([0.0, float(np.log(mean / (1 - mean)))])
    design = np.column_stack([z, np.ones_like(z)])
    loss = _loss(design @ theta, target, weight)
    for _ in range(iterations):
        p = sigmoid(design @ theta)
        gradient = design.T @ (weight * (p - target))
        hessian = (design * (weight * p * (1 - p))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        length = 1.0
        while (
            new := _loss(design @ (theta - length * step), target, weight)
        ) > loss and length > 1e-6:
            length /= 2
        if loss - new < 1e-12 * max(1.0, abs(loss)):
            break
        theta = theta - length * step
        loss = new
    return float(theta[0]), float(theta[1])


def _newton_intercept(z: Floats, target: Floats, weight: Floats, iterations: int) -> float:
    intercept = 0.0
    for _ in range(iterations):
        p = sigmoid(z + intercept)
        step = float((weight * (p - target)).sum() / max((weight * p * (1 - p)).sum(), 1e-9))
        intercept -= float(np.clip(step, -2, 2))
        if abs(step) < 1e-10:
            break
    return intercept


def _loss(z: Floats, target: Floats, weight: Floats) -> float:
    return float(np.sum(weight * (np.logaddexp(0.0, z) - target * z)))
