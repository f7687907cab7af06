"""The DDPG agent: networks, their targets, replay and noise, and the order of one update.

    agent = DDPG(env.observation_space, env.action_space, DDPGConfig(hidden=(64, 64)), seed=0)
    action = agent.explore(obs)                                    # with noise, while learning
    agent.replay.add(obs, action, reward, next_obs, terminated)
    metrics = agent.update()                                       # one pass of the paper's box
    action = agent.act(obs)                                        # without noise

The algorithm is Lillicrap et al. 2015, algorithm 1. It knows no environment, only its spaces. Where
it deviates from the paper:

1. Exploration noise is Gaussian unless asked for otherwise, as in Fujimoto et al. 2018.
2. The first steps take uniformly random actions, without updates.
3. The action enters the critic at its first layer, not at its second.
4. There is no batch normalisation, and no weight decay on the critic.
5. The defaults are for small tasks: smaller networks, larger learning rates and a larger tau.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np

import tinygrad_rl as tg
from ddpg import losses, rng
from ddpg.config import DDPGConfig
from ddpg.errors import UsageError
from ddpg.networks import Actor, Critic
from ddpg.noise import GaussianNoise, Noise, OUNoise
from ddpg.replay import Batch, Replay
from ddpg.spaces import Space, action_bounds, observation_size
from ddpg.state import check_state
from tinygrad_rl import optim

METRICS = ("critic_loss", "mean_q", "mean_target", "actor_loss", "saturation")
"""What an update reports, in this order: the critic's squared error, its mean value on the batch
and of the target, minus its mean value at the actor's actions, and the share of those actions at a
bound."""

PARTS = (
    *("actor", "critic", "target_actor", "target_critic"),
    *("actor_optimizer", "critic_optimizer", "noise"),
)
"""The attributes of an agent that have a state of their own, which is saved under their name."""


class DDPG:
    """Deep deterministic policy gradient.

    Parameters
    ----------
    observation_space : a flat Box.
    action_space : a flat Box of floats with finite bounds.
    config : settings; the defaults where it is left out.
    seed : where initial weights, exploration and the draws from the replay come from.

    Attributes
    ----------
    actor, critic, target_actor, target_critic : the networks. The targets start as copies.
    actor_optimizer, critic_optimizer : one Adam each; neither knows the other's parameters.
    replay : the transitions to learn from.

    Raises
    ------
    UsageError : (a `ValueError`) for spaces that are not supported, saying what was found.
    """

    def __init__(
        self,
        observation_space: Space,
        action_space: Space,
        config: DDPGConfig | None = None,
        seed: rng.Seed = 0,
    ) -> None:
        self.config = config = DDPGConfig() if config is None else config
        obs_dim = observation_size(observation_space)
        self._low, self._high = action_bounds(action_space)
        self._obs_shape, act_dim = (obs_dim,), len(self._low)
        self._low32, self._high32 = _float32_inside(self._low, self._high)

        actor_seed, critic_seed, noise_seed, warmup_seed, sampling_seed = rng.spawn(seed, 5)
        init = rng.generator(actor_seed)
        self.actor = Actor(obs_dim, self._low, self._high, config.hidden, init)
        self.critic = Critic(obs_dim, act_dim, config.hidden, rng.generator(critic_seed))
        self.target_actor, self.target_critic = deepcopy((self.actor, self.critic))
        self.actor_optimizer = optim.Adam(self.actor.parameters(), lr=config.actor_lr)
        self.critic_optimizer = optim.Adam(self.critic.parameters(), lr=config.critic_lr)

        self.replay = Replay(obs_dim, act_dim, config.buffer_size)
        noise = OUNoise if config.noise == "ou" else GaussianNoise
        self.noise: Noise = noise(config.noise_std * (self._high / 2 - self._low / 2), noise_seed)
        self._warmup_rng = rng.generator(warmup_seed)
        self._sampling_rng = rng.generator(sampling_seed)
        self._steps_explored = 0

        self._run_policy = tg.jit(self._policy) if config.compile else self._policy
        self._run_step = tg.jit(self._step) if config.compile else self._step

    def act(self, obs: np.ndarray) -> np.ndarray:
        """The policy's action `mu(obs)`, without noise.

        Of one observation, shape (obs_dim,), an action of shape (act_dim,), in the environment's
        units, inside its bounds, of its dtype.
        """
        return self._inside_bounds(self._mu(obs))

    def explore(self, obs: np.ndarray) -> np.ndarray:
        """The next action while learning: uniform for the first `warmup_steps`, then noisy.

        Shapes and units as in `act`.
        """
        self._steps_explored += 1
        if self._steps_explored <= self.config.warmup_steps:
            return self._inside_bounds(self._warmup_rng.uniform(self._low, self._high))
        return self._inside_bounds(self._mu(obs) + self.noise())

    def update(self) -> dict[str, float]:
        """One critic step, one actor step, both targets moved, on a fresh batch of the replay.

        Returns
        -------
        dict : a number for each of `METRICS`.

        Raises
        ------
        UsageError : if the replay is empty.
        """
        index = self.replay.sample_indices(self._sampling_rng, self.config.batch_size)
        metrics = self._run_step(tg.from_numpy(index)).tolist()
        return dict(zip(METRICS, metrics, strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Everything an update changes but the replay, nested, as `tinygrad_rl.save` takes it."""
        return {name: getattr(self, name).state_dict() for name in PARTS} | {
            "warmup_rng": rng.get_state(self._warmup_rng),
            "sampling_rng": rng.get_state(self._sampling_rng),
            "steps_explored": self._steps_explored,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state_dict`.

        Raises
        ------
        UsageError : naming the entry that does not fit, or holds what training can't lead to; the
            agent is as it was.
        """
        check_state(state, self.state_dict())
        for name in PARTS:
            getattr(self, name).load_state_dict(state[name])
        rng.set_state(self._warmup_rng, state["warmup_rng"])
        rng.set_state(self._sampling_rng, state["sampling_rng"])
        self._steps_explored = state["steps_explored"]

    def _step(self, index: tg.Tensor) -> tg.Tensor:
        """The whole update as a function of tensors, so that it can be compiled as one.

        Gives `METRICS` as one tensor, which is read at once.
        """
        batch = self.replay.gather(index)
        metrics = self.critic_step(batch) | self.actor_step(batch)
        optim.polyak(self.target_actor, self.actor, self.config.tau)
        optim.polyak(self.target_critic, self.critic, self.config.tau)
        return tg.stack([metrics[name] for name in METRICS])

    def critic_step(self, batch: Batch) -> dict[str, tg.Tensor]:
        """Move Q towards the reward plus its own (slow copy's) opinion of what follows."""
        target = losses.td_target(self.target_actor, self.target_critic, batch, self.config.gamma)
        q = self.critic(batch.obs, batch.action)
        loss = losses.critic_loss(q, target)
        # Gradients add up in PyTorch and here: whatever somebody left behind must go first.
        self.critic_optimizer.zero_grad()
        loss.backward()
        self.critic_optimizer.step()
        return {
            "critic_loss": loss.detach(),
            "mean_q": q.detach().mean(),
            "mean_target": target.mean(),
        }

    def actor_step(self, batch: Batch) -> dict[str, tg.Tensor]:
        """Move the actor towards actions that Q, held still, likes better."""
        action = self.actor(batch.obs)
        loss = losses.actor_loss(self.critic, batch.obs, action)
        self.actor_optimizer.zero_grad()
        loss.backward()
        self.actor_optimizer.step()
        saturation = self.actor.saturation(action.detach())
        return {"actor_loss": loss.detach(), "saturation": saturation}

    def _policy(self, obs: tg.Tensor) -> tg.Tensor:
        with tg.no_grad():
            return self.actor(obs)

    def _mu(self, obs: np.ndarray) -> np.ndarray:
        row = np.asarray(obs, dtype=np.float32)
        if row.shape != self._obs_shape:
            raise UsageError(f"obs must have shape {self._obs_shape}, got {row.shape}")
        return self._run_policy(tg.from_numpy(row[None])).numpy()[0]

    def _inside_bounds(self, action: np.ndarray) -> np.ndarray:
        """Clip: noise leaves the bounds, and so does rounding, by a bit. A NaN stays one.

        What comes out are float32 values, of whatever dtype: the replay stores what was done.
        """
        clipped = np.minimum(np.maximum(action, self._low32), self._high32)
        return clipped.astype(np.float32).astype(self._low.dtype, copy=False)


def _float32_inside(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The float32 nearest to each bound that does not lie outside."""
    low32, high32 = low.astype(np.float32), high.astype(np.float32)
    low32 = np.where(low32 < low, np.nextafter(low32, np.float32(np.inf)), low32)
    high32 = np.where(high32 > high, np.nextafter(high32, np.float32(-np.inf)), high32)
    return low32, high32
