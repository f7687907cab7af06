"""`dL/dtheta = -dQ/da * dmu/dtheta` with the numbers of one batch: where `ddpg compare` begins.

    formula = evaluate_formula(Size())
    formula.dq_da, formula.dmu_dtheta, formula.dl_dtheta          # norms: two factors, the product
    formula.differing == 0                                        # and autograd's gradient of -Q

L is the actor's loss -Q, and Q stands for its mean over the batch. The second factor is a Jacobian,
and the product a vector-Jacobian product: autograd has its result without the Jacobian itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import tinygrad_rl as tg
from ddpg import losses
from ddpg.compare.measure import Size, make_lab
from ddpg.networks import Actor
from tinygrad_rl import nn


@dataclass(frozen=True)
class Formula:
    """The factors, their product by hand, and how it compares with autograd's gradient.

    Attributes
    ----------
    batch_size, act_dim, parameters : B, the numbers in an action, and the numbers in theta.
    dq_da : 2-norm of the first factor, (B, act_dim).
    dmu_dtheta : Frobenius norm of the second, the Jacobian, (B * act_dim, parameters).
    dl_dtheta : 2-norm of the product, (parameters,).
    differing : how many numbers of the product differ, be it in one bit, from those of autograd's
        gradient of the actor's loss, Q's parameters frozen.
    difference : 2-norm of the difference, relative to autograd's gradient.
    """

    batch_size: int
    act_dim: int
    parameters: int
    dq_da: float
    dmu_dtheta: float
    dl_dtheta: float
    differing: int
    difference: float


def evaluate_formula(size: Size, seed: int = 0) -> Formula:
    """Take the product by hand and let autograd take it, on the networks and batch of the cases."""
    lab = make_lab(size, seed)
    actor, critic, theta = lab.actor, lab.critic, lab.actor.parameters()

    # By hand: first the slope of Q at the actions, then through the actor with it.
    action = actor(lab.obs)
    a = action.detach().requires_grad_()
    (dq_da,) = _grad(critic(lab.obs, a).mean(), [a])
    product = _vector(_grad(action, theta, -dq_da))

    loss = losses.actor_loss(critic, lab.obs, actor(lab.obs))
    autograd = _vector(_grad(loss, theta))
    # The same ops on the same numbers in the same order: not one bit may differ. It would, if the
    # product were summed in another order, as with the Jacobian written out.
    differing = int((product.view(np.uint32) != autograd.view(np.uint32)).sum())
    return Formula(
        *(size.batch_size, size.act_dim, len(product)),
        dq_da=_norm(dq_da.numpy()),
        dmu_dtheta=jacobian_norm(actor, lab.obs),
        dl_dtheta=_norm(product),
        differing=differing,
        difference=_norm(product - autograd) / _norm(autograd),
    )


def jacobian_norm(actor: Actor, obs: tg.Tensor) -> float:
    """Frobenius norm of dmu/dtheta over a batch, without the Jacobian: its sum of squares.

    One backward pass for each dimension of the action. A row of the batch moves no other row's
    action, so in a layer y = W x + b the action's derivative in W is, row by row, the outer product
    of `d = da/dy` and x; its squares sum to |d|^2 |x|^2, those of b to |d|^2.
    """
    xs, ys, x = [], [], obs
    for layer in actor.mlp:
        y = layer(x)
        if isinstance(layer, nn.Linear):
            xs.append(x)
            ys.append(y)
        x = y
    action = actor.range.center + actor.range.half * tg.tanh(x)
    total = 0.0
    for column in range(action.shape[1]):
        derivatives = _grad(action[:, column].sum(), ys)
        total += sum(
            float((_squares(d) * (_squares(x) + 1.0)).sum())
            for d, x in zip(derivatives, xs, strict=True)
        )
    return float(np.sqrt(total))


def _grad(y: tg.Tensor, xs: Sequence[tg.Tensor], g: tg.Tensor | None = None) -> list[tg.Tensor]:
    """Gradients of all `xs`, none of which is missing; the graph of `y` may be used again."""
    gradients = tg.grad(y, xs, g, retain_graph=True)
    return [gradient for gradient in gradients if gradient is not None]


def _squares(rows: tg.Tensor) -> np.ndarray:
    """The squared 2-norm of each row."""
    return np.square(rows.numpy(), dtype=np.float64).sum(axis=1)


def _vector(tensors: Sequence[tg.Tensor]) -> np.ndarray:
    return np.concatenate([t.numpy().ravel() for t in tensors])


def _norm(values: np.ndarray) -> float:
    return float(np.linalg.norm(values.astype(np.float64)))
