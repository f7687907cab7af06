from dataclasses import replace

import numpy as np
import pytest

import tinygrad_rl as tg
from ddpg import losses
from ddpg.compare.formula import evaluate_formula, jacobian_norm
from ddpg.compare.lesson import equality, formula_lines
from ddpg.compare.measure import Size, make_lab, measure
from ddpg.compare.verdict import Verdict

SMALL = Size(3, 2, (8, 8), 16)


def written_out(actor, obs):
    """The Jacobian dmu/dtheta, (batch_size * act_dim, parameters), a row by each backward pass."""
    action = actor(obs).reshape(-1)
    rows = [tg.grad(y, actor.parameters(), retain_graph=True) for y in action]
    return np.array([np.concatenate([g.numpy().ravel() for g in row]) for row in rows])


def product_of(jacobian, lab):
    """-dQ/da times the Jacobian, both written out."""
    a = lab.actor(lab.obs).detach().requires_grad_()
    (dq_da,) = tg.grad(lab.critic(lab.obs, a).mean(), a)
    return -dq_da.numpy().ravel() @ jacobian


@pytest.mark.parametrize("size", [Size(), SMALL, Size(5, 1, (37, 53), 7), Size(3, 3, (19,), 1)])
def test_product_by_hand_is_autograds_gradient_to_the_last_bit(size):
    formula = evaluate_formula(size, seed=1)
    assert (formula.differing, formula.difference) == (0, 0.0)


def test_one_other_bit_in_each_number_is_counted(monkeypatch):
    """Of a gradient that is a little larger than the product, hardly a number is the same."""
    loss = losses.actor_loss
    monkeypatch.setattr(losses, "actor_loss", lambda *given: loss(*given) * (1 + 2**-22))
    formula = evaluate_formula(SMALL, seed=1)
    different = np.count_nonzero(make_gradient())
    assert 0.9 * different < formula.differing <= different
    assert 0 < formula.difference < 1e-6


def make_gradient():
    """Autograd's gradient of the actor's loss on the batch above."""
    lab = make_lab(SMALL, 1)
    loss = losses.actor_loss(lab.critic, lab.obs, lab.actor(lab.obs))
    return np.concatenate([g.numpy().ravel() for g in tg.grad(loss, lab.actor.parameters())])


def test_product_is_the_gradient_of_the_frozen_case():
    frozen = next(measure(SMALL, seed=2, repetitions=1))
    assert evaluate_formula(SMALL, seed=2).dl_dtheta == frozen.actor_gradient_norm


def test_jacobian_written_out_has_that_norm_and_gives_the_product_up_to_rounding():
    lab = make_lab(SMALL, 3)
    jacobian, formula = written_out(lab.actor, lab.obs), evaluate_formula(SMALL, 3)
    assert jacobian.shape == (formula.batch_size * formula.act_dim, formula.parameters)
    assert formula.dmu_dtheta == pytest.approx(np.linalg.norm(jacobian), rel=1e-6)
    assert np.linalg.norm(product_of(jacobian, lab)) == pytest.approx(formula.dl_dtheta, rel=1e-5)


def test_a_product_is_no_longer_than_its_factors():
    formula = evaluate_formula(SMALL)
    assert 0.0 < formula.dl_dtheta < formula.dq_da * formula.dmu_dtheta


def test_norm_of_the_jacobian_sees_the_range_of_the_action():
    lab = make_lab(SMALL, 0)
    norm = jacobian_norm(lab.actor, lab.obs)
    lab.actor.range.half.assign_(2.0 * lab.actor.range.half)
    assert jacobian_norm(lab.actor, lab.obs) == pytest.approx(2.0 * norm)


def test_equality_is_said_from_what_was_measured():
    formula = evaluate_formula(SMALL)
    verdict, text = equality(formula)
    assert verdict is Verdict.GOOD and "to the last bit of all 122 numbers" in text
    verdict, text = equality(replace(formula, differing=5, difference=2e-7))
    assert verdict is Verdict.GOOD and "in 5 of all 122 numbers, by 2e-07 of its norm" in text
    verdict, text = equality(replace(formula, differing=122, difference=0.5))
    assert verdict is Verdict.WRONG and "last bit" not in text


def test_each_number_stands_below_its_factor():
    formula = replace(evaluate_formula(SMALL), dl_dtheta=1.5, dq_da=0.25, dmu_dtheta=30.0)
    symbols, norms, sizes = formula_lines(formula)
    assert symbols.split() == ["dL/dtheta", "=", "-dQ/da", "*", "dmu/dtheta"]
    assert norms.split() == ["norm", "1.5", "0.25", "30"]
    assert sizes.split("  ")[-1].strip() == "32 x 122"
    three = ("dL/dtheta", "-dQ/da", "dmu/dtheta")
    for symbol, number in zip(three, norms.split()[1:], strict=True):
        middle = norms.index(f" {number}") + 1 + len(number) / 2
        assert symbols.index(symbol) < middle < symbols.index(symbol) + len(symbol)
