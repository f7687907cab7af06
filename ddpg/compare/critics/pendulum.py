"""gymnasium's Pendulum-v1 in tensors: a world that gradients go through.

    next_state, reward = step(state, action)             # (B, 2), (B, 1) of (B, 2), (B, 1)
    action = actor(observe(state))                       # what an agent sees of it, (B, 3)

A state is an angle, 0 when upright, and an angular velocity. Each row is a pendulum of its own.
"""

import numpy as np

import tinygrad_rl as tg

GRAVITY, SECONDS = 10.0, 0.05
"""Of mass and length 1; how long a step lasts."""
MAX_SPEED, MAX_TORQUE = 8.0, 2.0


def step(state: tg.Tensor, action: tg.Tensor) -> tuple[tg.Tensor, tg.Tensor]:
    """The state one step later, (B, 2), and the reward, (B, 1), of `action`, a torque, (B, 1).

    The angle counts full turns: it isn't wrapped, and in the reward, where it is, its derivative is
    1 all the same. Where speed or torque are cut off at their bounds, derivatives are 0.
    """
    angle, speed = state[:, :1], state[:, 1:]
    torque = tg.clip(action, -MAX_TORQUE, MAX_TORQUE)
    from_upright = tg.remainder(angle + np.pi, 2 * np.pi) - np.pi
    reward = -(from_upright**2 + 0.1 * speed**2 + 0.001 * torque**2)
    # A rod, hinged at its end: 3 / (m l^2) is 1 over its moment of inertia.
    acceleration = 1.5 * GRAVITY * tg.sin(angle) + 3.0 * torque
    speed = tg.clip(speed + acceleration * SECONDS, -MAX_SPEED, MAX_SPEED)
    return tg.concatenate([angle + speed * SECONDS, speed], axis=1), reward


def observe(state: tg.Tensor) -> tg.Tensor:
    """Observations, (B, 3): cosine and sine of the angle, and the speed."""
    angle, speed = state[:, :1], state[:, 1:]
    return tg.concatenate([tg.cos(angle), tg.sin(angle), speed], axis=1)


def state_of(obs: np.ndarray) -> np.ndarray:
    """Float64 states, (B, 2), that look like `obs`, (B, 3); angles from -pi to pi."""
    cosine, sine, speed = np.asarray(obs, dtype=np.float64).T
    return np.stack([np.arctan2(sine, cosine), speed], axis=1)
