"""What an update costs, counted by hand."""

from itertools import pairwise

import pytest

from ddpg.compare.critics.cost import costs, count_update
from ddpg.compare.critics.variants import VARIANTS
from ddpg.compare.measure import Size

SIZE = Size(3, 2, (8, 5), 16)
PLAIN, LAYER_NORM, TWINS, TD3 = VARIANTS


def products(*sizes):
    """FLOPs of a network's products with one batch: 2 for each weight and row."""
    return 2 * SIZE.batch_size * sum(a * b for a, b in pairwise(sizes))


def by_hand(critics, share_of_actor_steps):
    actor, critic = (3, 8, 5, 2), (5, 8, 5, 1)
    forward, first = products(*critic), products(*critic[:2])
    # Backward once for the weights, and once for the inputs of all layers but the first.
    learns = forward + forward + (forward - first)
    target = products(*actor) + critics * forward
    # Through one critic down to the action and the observations, then into the actor.
    follows = products(*actor) + forward + forward
    improves = products(*actor) + (products(*actor) - products(*actor[:2]))
    return target + critics * learns + share_of_actor_steps * (follows + improves)


@pytest.mark.parametrize(
    ("variant", "critics", "share"),
    [(PLAIN, 1, 1.0), (LAYER_NORM, 1, 1.0), (TWINS, 2, 1.0), (TD3, 2, 0.5)],
    ids=lambda value: getattr(value, "name", None),
)
def test_products_are_those_of_the_equations(variant, critics, share):
    """A critic that the actor doesn't follow costs the actor nothing."""
    assert count_update(variant, SIZE) == by_hand(critics, share)


@pytest.mark.slow
def test_all_variants_have_a_price():
    prices = costs(SIZE, rounds=1)
    assert list(prices) == [variant.name for variant in VARIANTS]
    assert prices["TD3"].flops == by_hand(2, 0.5)
    assert all(price.milliseconds > 0 for price in prices.values())
