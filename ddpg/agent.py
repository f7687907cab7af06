"""The DDPG agent: networks, their targets, replay and noise, and the order of one update.

    agent = DDPG(env.observation_space, env.action_space, DDPGConfig(hidden=(64, 64)), seed=0)
    action = agent.explore(obs)                                    # with noise, while learning
    agent.replay.add(obs, action, reward, next_obs, terminated, truncated)
    metrics = agent.update()                                       # one pass of the paper's box
    action = agent.act(obs)                                        # without noise

Where observations have parts (Dict, Discrete, ...), the replay takes them by `agent.flatten(obs)`.

The algorithm is Lillicrap et al. 2015, algorithm 1. It knows no environment, only its spaces. Where
it deviates from the paper:

1. Exploration noise is Gaussian unless asked for otherwise, as in Fujimoto et al. 2018.
2. The first steps take uniformly random actions, without updates.
3. The action enters the critic at its first layer, not at its second.
4. There is no batch normalisation, and weight decay on the critic only where it is asked for.
5. The defaults are for small tasks: smaller networks, larger learning rates and a larger tau.

Settings that mend Q, none of them on by default. `critics=2`, `target_noise=0.2` and
`actor_every=2` are TD3 (Fujimoto et al. 2018, algorithm 1), with deviations 2 and 5. The others:

6. `critics` of 5 and more take a random pair of targets, as REDQ does (Chen et al. 2021, algorithm
   1); but the actor follows the first critic, not the mean of all.
7. `n_step` sums up rewards of actions that an earlier policy chose, without correcting for it.
8. `critic_layer_norm` normalises before the ReLU, `grad_clip` limits each network's gradient alone.

`normalize_observations` shows the networks observations in units of those that `explore` was given
so far, and them alone: what is in the replay, and what anybody else sees, is as the environment
gave it. (The paper has batch normalisation for this, section 3.)
"""

import operator
from collections.abc import Mapping
from copy import deepcopy
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

import tinygrad_rl as tg
from ddpg import losses, rng
from ddpg.config import DDPGConfig
from ddpg.errors import UsageError
from ddpg.networks import Actor, Critic, Normalizer
from ddpg.noise import GaussianNoise, Noise, OUNoise, TargetNoise
from ddpg.replay import Batch, Replay, Steps
from ddpg.spaces import Observations, Space, action_bounds
from ddpg.state import check_state
from tinygrad_rl import optim

CRITIC_METRICS = ("critic_loss", "mean_q", "mean_target", "impossible")
ACTOR_METRICS = ("actor_loss", "saturation")
METRICS = CRITIC_METRICS + ACTOR_METRICS
"""What an update reports, in this order: the critics' mean squared error; the first one's mean
value on the batch, and the target's; the share of its values that no rewards like those seen can
sum up to; where the actor moved, minus the mean value of its actions, and their share at a bound.
"""

PARTS = (
    *("actor", "critics", "target_actor", "target_critics"),
    *("actor_optimizer", "critic_optimizer", "noise", "target_noise"),
)
"""The attributes of an agent that have a state of their own, which is saved under their name;
beside them `normalizer`, where there is one."""

PAIR_FROM = 5
"""From so many critics on, a random pair of them gives the target."""


class Draws(NamedTuple):
    """What chance decides about one update; None where the settings leave nothing to it.

    Attributes
    ----------
    rows : of the replay: int64, (B,), or what follows them.
    target_noise : float32, (B, act_dim), in the action's units.
    pair : int64, (2,): the critics that give the target.
    """

    rows: tg.Tensor | Steps
    target_noise: tg.Tensor | None
    pair: tg.Tensor | None


class DDPG:
    """Deep deterministic policy gradient.

    Parameters
    ----------
    observation_space : of Box, Discrete, MultiDiscrete, MultiBinary, alone or in Dict and Tuple.
    action_space : a flat Box of floats with finite bounds.
    config : settings; the defaults where it is left out.
    seed : where initial weights, exploration and the draws from the replay come from.
    num_envs : environments side by side to learn in, each with noise of its own.

    Attributes
    ----------
    actor, target_actor : the policy, and its slow copy.
    critics, target_critics : lists of Q's networks, one by default; the actor follows the first.
    actor_optimizer, critic_optimizer : one Adam each; neither knows the other's parameters.
    num_envs : as given.
    low, high : the lowest and highest action that leaves `act`: float32, (act_dim,), the nearest to
        the space's bounds that do not lie outside.
    replay : the transitions to learn from.
    observations : how an observation becomes a row of numbers.
    normalizer : of observations, shared by all networks; None where the settings ask for none.

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
        num_envs: int = 1,
    ) -> None:
        self.config = config = DDPGConfig() if config is None else config
        self.observations = Observations(observation_space)
        obs_dim = self.observations.size
        self._low, self._high = action_bounds(action_space)
        self._obs_shape, act_dim = (obs_dim,), len(self._low)
        self.low, self.high = _float32_inside(self._low, self._high)

        seeds = rng.spawn(seed, 6)
        actor_seed, critic_seed, noise_seed, warmup_seed, sampling_seed, target_seed = seeds
        init, critic_init = rng.generator(actor_seed), rng.generator(critic_seed)
        self.normalizer = Normalizer(obs_dim) if config.normalize_observations else None
        bounds = self._low, self._high
        self.actor = Actor(obs_dim, *bounds, config.hidden, init, self.normalizer)
        shape = obs_dim, act_dim, config.hidden, critic_init, config.critic_layer_norm
        self.critics = [Critic(*shape, self.normalizer) for _ in range(config.critics)]
        self.target_actor, self.target_critics = deepcopy((self.actor, self.critics))
        self.actor_optimizer = optim.Adam(self.actor, lr=config.actor_lr)
        self.critic_optimizer = optim.Adam(
            self.critics, lr=config.critic_lr, weight_decay=config.critic_weight_decay
        )

        self.num_envs = num_envs
        self._explored_shape = (obs_dim,) if num_envs == 1 else (num_envs, obs_dim)
        self.replay = Replay(obs_dim, act_dim, config.buffer_size, num_envs)
        half = self._high / 2 - self._low / 2
        noise = OUNoise if config.noise == "ou" else GaussianNoise
        self.noise: Noise = noise(config.noise_std * half, noise_seed, num_envs)
        sizes = config.target_noise * half, config.target_noise_clip * half, config.batch_size
        self.target_noise = TargetNoise(*sizes, target_seed)
        self._warmup_rng = rng.generator(warmup_seed)
        self._sampling_rng = rng.generator(sampling_seed)
        self._steps_explored = self._updates = 0
        self._value_bounds = -np.inf, np.inf
        self._value_bounds_array = np.array(self._value_bounds, np.float32)
        self._value_bounds_tensor = tg.from_numpy(self._value_bounds_array)

        self._run_policy = tg.jit(self._policy) if config.compile else self._policy
        self._run_step = tg.jit(self._step) if config.compile else self._step

    def act(self, obs: Any) -> np.ndarray:
        """The policy's action `mu(obs)`, without noise.

        Of one observation an action of shape (act_dim,); of a batch as many, (B, act_dim). In the
        environment's units, inside its bounds, of its dtype.

        Parameters
        ----------
        obs : as the environment gives it, or a vector environment; or as a row, (obs_dim,), or
            rows, (B, obs_dim).

        Raises
        ------
        UsageError : (a `ValueError`) for another shape, or what is not of the space.
        """
        rows = self.observations.rows(obs)
        if rows.ndim != 2:
            if rows.shape != self._obs_shape:
                raise UsageError(f"obs must have shape {self._obs_shape}, got {rows.shape}")
            return self._inside_bounds(self._run_policy(tg.from_numpy(rows[None])).numpy()[0])
        if rows.shape[1:] != self._obs_shape:
            wanted = f"(B, {self._obs_shape[0]})"
            raise UsageError(f"a batch of obs must have shape {wanted}, got {rows.shape}")
        # Eagerly: a compiled form would be one for each size of a batch.
        return self._inside_bounds(self._policy(tg.from_numpy(rows)).numpy())

    def flatten(self, obs: Any) -> np.ndarray:
        """An observation as the environment gives it as the replay takes it: a copy, (obs_dim,).

        Raises
        ------
        UsageError : (a `ValueError`) for what is not of the space; a flat Box is not looked at.
        """
        return self.observations.flat(obs)

    def predict(
        self,
        obs: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, None]:
        """`(act(obs), None)`: what programs written for Stable-Baselines3 ask for.

        The policy has no state between steps and no chance in it: the other parameters say nothing.
        """
        return self.act(obs), None

    def explore(self, obs: Any) -> np.ndarray:
        """The next action while learning: uniform for the first `warmup_steps`, then noisy.

        With `normalize_observations`, what was seen here is what others are normalised by.

        Parameters
        ----------
        obs : an observation as in `act`; of several environments a batch of `num_envs`.

        Returns
        -------
        ndarray : (act_dim,), or (num_envs, act_dim); units, bounds and dtype as in `act`.

        Raises
        ------
        UsageError : (a `ValueError`) for another shape.
        """
        rows = self.observations.rows(obs)
        if rows.shape != self._explored_shape:
            raise UsageError(f"obs must have shape {self._explored_shape}, got {rows.shape}")
        if rows.ndim == 1:
            rows = rows[None]
        if self.normalizer is not None:
            if not np.isfinite(rows).all():  # a mean would never forget it
                raise UsageError(f"obs must be finite, got {rows}")
            self.normalizer.see(rows)
        random_left = self.config.warmup_steps - self._steps_explored
        self._steps_explored += self.num_envs
        if random_left <= 0:
            action = self._run_policy(tg.from_numpy(rows)).numpy() + self.noise()
        else:
            action = self._explore_at_random(rows, min(random_left, self.num_envs))
        return self._inside_bounds(action if self.num_envs > 1 else action[0])

    def _explore_at_random(self, rows: np.ndarray, count: int) -> np.ndarray:
        """The first `count` actions uniform, for steps are counted one by one; the others noisy."""
        action = self._warmup_rng.uniform(self._low, self._high, (count, len(self._low)))
        if count == self.num_envs:
            return action
        noisy = self._run_policy(tg.from_numpy(rows)).numpy() + self.noise()
        return np.concatenate([action, noisy[count:]])

    def updates_due(self, step: int) -> int:
        """How many updates follow transition number `step`, with which all environments made one.

        `updates_per_step` for each transition beyond the first `warmup_steps`.
        """
        beyond = step - self.config.warmup_steps
        return min(beyond, self.num_envs) * self.config.updates_per_step if beyond > 0 else 0

    def update(self) -> dict[str, float]:
        """One critic step, one actor step, all targets moved, on a fresh batch of the replay.

        Where `actor_every` is more than 1, the actor and the targets only move with every so many.

        Returns
        -------
        dict : a number for each of `METRICS`, or of `CRITIC_METRICS` where the actor did not move.

        Raises
        ------
        UsageError : if the replay is empty.
        """
        draws = self._draw()
        self._see_value_bounds()
        self._updates += 1
        moves_actor = self._updates % self.config.actor_every == 0
        metrics = self._run_step(*draws, moves_actor).tolist()
        return dict(zip(METRICS if moves_actor else CRITIC_METRICS, metrics, strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Everything an update changes but the replay, nested, as `tinygrad_rl.save` takes it."""
        return {name: _state_of(getattr(self, name)) for name in self._parts()} | {
            "warmup_rng": rng.get_state(self._warmup_rng),
            "sampling_rng": rng.get_state(self._sampling_rng),
            "steps_explored": self._steps_explored,
            "updates": self._updates,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state_dict`.

        Raises
        ------
        UsageError : naming the entry that does not fit, or holds what training can't lead to; the
            agent is as it was.
        """
        check_state(state, self.state_dict())
        for name in self._parts():
            _give_state(getattr(self, name), state[name])
        rng.set_state(self._warmup_rng, state["warmup_rng"])
        rng.set_state(self._sampling_rng, state["sampling_rng"])
        self._steps_explored, self._updates = state["steps_explored"], state["updates"]

    def _parts(self) -> tuple[str, ...]:
        return PARTS if self.normalizer is None else (*PARTS, "normalizer")

    def _draw(self) -> Draws:
        config, generator = self.config, self._sampling_rng
        index = self.replay.sample_indices(generator, config.batch_size)
        noise, pair = None, None
        if config.target_noise > 0.0:
            noise = tg.from_numpy(self.target_noise())
        if config.critics >= PAIR_FROM:
            pair = tg.from_numpy(generator.choice(config.critics, 2, replace=False))
        if config.n_step == 1:
            return Draws(tg.from_numpy(index), noise, pair)
        return Draws(self.replay.follow(index, config.n_step, config.gamma), noise, pair)

    def _see_value_bounds(self) -> None:
        bounds = self.replay.value_bounds(self.config.gamma)
        if bounds != self._value_bounds:
            self._value_bounds = bounds
            # Written into, not replaced: the compiled update holds it. Inf where float32 ends.
            with np.errstate(over="ignore"):
                self._value_bounds_array[:] = bounds

    def _step(
        self,
        rows: tg.Tensor | Steps,
        target_noise: tg.Tensor | None,
        pair: tg.Tensor | None,
        moves_actor: bool,
    ) -> tg.Tensor:
        """The whole update as a function of tensors, so that it can be compiled as one.

        Gives its metrics as one tensor, which is read at once.
        """
        if isinstance(rows, Steps):
            batch = self.replay.gather_steps(rows)
        else:
            batch = self.replay.gather(rows, self.config.gamma)
        metrics = self.critic_step(batch, target_noise, pair)
        if moves_actor:
            metrics |= self.actor_step(batch)
            optim.polyak(self.target_actor, self.actor, self.config.tau)
            optim.polyak(self.target_critics, self.critics, self.config.tau)
        return tg.stack([metrics[name] for name in METRICS if name in metrics])

    def critic_step(
        self, batch: Batch, target_noise: tg.Tensor | None = None, pair: tg.Tensor | None = None
    ) -> dict[str, tg.Tensor]:
        """Move Q towards the reward plus its own (slow copy's) opinion of what follows.

        `target_noise` and `pair` as `losses.td_target` takes them.
        """
        targets = self.target_actor, self.target_critics
        target = losses.td_target(*targets, batch, target_noise, pair)
        q = [critic(batch.obs, batch.action) for critic in self.critics]
        each = [losses.critic_loss(q_k, target) for q_k in q]
        # Gradients add up in PyTorch and here: whatever somebody left behind must go first.
        self.critic_optimizer.zero_grad()
        reduce(operator.add, each).backward()
        for critic in self.critics:
            self._clip_gradient(critic)
        self.critic_optimizer.step()
        low, high = self._value_bounds_tensor
        impossible = (q[0] < low) | (q[0] > high)
        return {
            "critic_loss": tg.stack([loss.detach() for loss in each]).mean(),
            "mean_q": q[0].detach().mean(),
            "mean_target": target.mean(),
            "impossible": impossible.astype(np.float32).mean(),
        }

    def actor_step(self, batch: Batch) -> dict[str, tg.Tensor]:
        """Move the actor towards actions that Q, held still, likes better."""
        action = self.actor(batch.obs)
        loss = losses.actor_loss(self.critics[0], batch.obs, action)
        self.actor_optimizer.zero_grad()
        loss.backward()
        self._clip_gradient(self.actor)
        self.actor_optimizer.step()
        saturation = self.actor.saturation(action.detach())
        return {"actor_loss": loss.detach(), "saturation": saturation}

    def _clip_gradient(self, network: Actor | Critic) -> None:
        if self.config.grad_clip > 0.0:
            optim.clip_grad_norm(network, self.config.grad_clip)

    def _policy(self, obs: tg.Tensor) -> tg.Tensor:
        with tg.no_grad():
            return self.actor(obs)

    def _inside_bounds(self, action: np.ndarray) -> np.ndarray:
        """Clip: noise leaves the bounds, and so does rounding, by a bit. A NaN stays one.

        What comes out are float32 values, of whatever dtype: the replay stores what was done.
        """
        clipped = np.minimum(np.maximum(action, self.low), self.high)
        return clipped.astype(np.float32).astype(self._low.dtype, copy=False)


def _state_of(part: Any) -> Any:
    return [each.state_dict() for each in part] if isinstance(part, list) else part.state_dict()


def _give_state(part: Any, state: Any) -> None:
    if not isinstance(part, list):
        part.load_state_dict(state)
        return
    for each, its_state in zip(part, state, strict=True):
        each.load_state_dict(its_state)


def _float32_inside(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The float32 nearest to each bound that does not lie outside."""
    low32, high32 = low.astype(np.float32), high.astype(np.float32)
    low32 = np.where(low32 < low, np.nextafter(low32, np.float32(np.inf)), low32)
    high32 = np.where(high32 > high, np.nextafter(high32, np.float32(-np.inf)), high32)
    return low32, high32
