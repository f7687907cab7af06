"""Runs with numbers that were made up, for what shows them."""

from ddpg.compare.critics.cost import Cost
from ddpg.compare.critics.measure import Moment, Opinion
from ddpg.compare.critics.training import MOMENTS, Course
from ddpg.compare.critics.variants import VARIANTS


def made_course(gap, second=None, cosine=0.5, last_return=-180.0):
    """Values of -40, claimed `gap` too high; random actions are worth 2 less, claimed 3 less."""
    own = Opinion(-40.0 + gap, -40.0, 0.99, cosine, 0.75, 100)
    other = Opinion(-43.0 + gap, -42.0, 0.98, 0.25, 0.7, 120)
    moments = [Moment(own, other, 0.7, second)] * MOMENTS
    steps = [1000 + 500 * k for k in range(MOMENTS)]
    return Course(steps, moments, [-1500.0] * (MOMENTS - 1) + [last_return])


GAPS = {"plain DDPG": 3.0, "+ LayerNorm": 1.0, "+ twin critics": -4.0, "TD3": -7.0}
RUNS = {
    variant.name: [
        made_course(GAPS[variant.name] + shift, 0.6 if "critics" in variant.settings else None)
        for shift in (-0.5, 0.5)
    ]
    for variant in VARIANTS
}
COSTS = {variant.name: Cost(1e6 * (k + 1), 0.5 * (k + 1)) for k, variant in enumerate(VARIANTS)}
