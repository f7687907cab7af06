"""The update in PyTorch: as CleanRL and sfujim/TD3 write it, and tuned with what PyTorch offers."""

from functools import reduce
from operator import add

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .problem import GAMMA, LEARNING_RATE, TAU, Batch, Layers, Problem, named


class Network(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, layers: Layers):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(w.shape[1], w.shape[0]) for w, _ in layers)
        with torch.no_grad():
            for layer, (weight, bias) in zip(self.layers, layers, strict=True):
                layer.weight.copy_(torch.from_numpy(weight))
                layer.bias.copy_(torch.from_numpy(bias))

    def body(self, x: torch.Tensor) -> torch.Tensor:
        """Return the last layer's output."""
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)

    def arrays(self) -> Layers:
        """Return copies of all weights and biases."""
        return [
            (x.weight.detach().numpy().copy(), x.bias.detach().numpy().copy()) for x in self.layers
        ]


class Actor(Network):
    """Observation to action; scale and bias are those of the bounds -1 and 1."""

    def __init__(self, layers: Layers):
        super().__init__(layers)
        act = layers[-1][1].shape
        self.register_buffer("action_scale", torch.ones(act))
        self.register_buffer("action_bias", torch.zeros(act))

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        """Return actions, (batch, act)."""
        return torch.tanh(self.body(obs)) * self.action_scale + self.action_bias


class Critic(Network):
    """Observation and action to Q."""

    def forward(self, obs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """Return Q, (batch, 1)."""
        return self.body(torch.cat([obs, action], 1))


class Plain:
    """Eager PyTorch as in CleanRL: NumPy replay, default Adam, the critics not frozen."""

    adam_options: dict[str, bool] = {}

    def __init__(self, problem: Problem, threads: int):
        torch.set_num_threads(threads)
        self.problem, self.settings = problem, problem.settings
        self.rng = np.random.default_rng(1)
        self.replay = self.stored(problem.replay)
        self.updates = 0
        self.actor = Actor(problem.layers("actor"))
        self.target_actor = Actor(problem.layers("target_actor"))
        self.critics = [Critic(layers) for layers in problem.critics()]
        self.target_critics = [Critic(layers) for layers in problem.critics("target_")]
        self.critic_parameters = [p for critic in self.critics for p in critic.parameters()]
        options = {"lr": LEARNING_RATE} | self.adam_options
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), **options)
        self.critic_optimizer = torch.optim.Adam(self.critic_parameters, **options)

    def check_cycle(self) -> None:
        """Update on what the problem prescribes."""
        for batch, normals in self.problem.cycle():
            self.step(Batch(*map(self.tensor, self.stored(batch))), torch.tensor(normals))

    def parameters(self) -> dict[str, np.ndarray]:
        """Return all parameters."""
        return named(
            self.actor.arrays(),
            [critic.arrays() for critic in self.critics],
            self.target_actor.arrays(),
            [critic.arrays() for critic in self.target_critics],
        )

    def cycle(self) -> None:
        """Update as often as a cycle asks for."""
        for _ in range(self.settings.actor_every):
            batch = self.sample()
            noisy = self.settings.target_noise > 0
            self.step(batch, torch.randn_like(batch.action) if noisy else None)

    def stored(self, batch: Batch) -> Batch:
        """Return transitions as the replay buffer keeps them."""
        return batch

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        """Return a copy of what came from the replay buffer."""
        return torch.tensor(array)

    def sample(self) -> Batch:
        """Return rows of NumPy arrays, copied into tensors, as a NumPy replay buffer does."""
        rows = self.rng.integers(0, len(self.replay.obs), self.problem.size.batch)
        return Batch(*(self.tensor(array[rows]) for array in self.replay))

    def step(self, batch: Batch, normals: torch.Tensor | None) -> None:
        """Update once; without noise there are no normals."""
        critic_loss = self.critic_loss(batch, normals)
        self.critic_optimizer.zero_grad()
        critic_loss.backward()
        self.critic_optimizer.step()
        self.updates += 1
        if self.updates % self.settings.actor_every == 0:
            self.actor_step(batch.obs)
            self.polyak()

    def critic_loss(self, batch: Batch, normals: torch.Tensor | None) -> torch.Tensor:
        """Return the sum of all critics' squared errors."""
        obs, action, reward, next_obs, terminated = batch
        with torch.no_grad():
            next_action = self.next_action(next_obs, normals)
            next_q = reduce(torch.min, [q(next_obs, next_action) for q in self.target_critics])
            target = reward + (1 - terminated) * GAMMA * next_q.view(-1)
        values = [critic(obs, action).view(-1) for critic in self.critics]
        return reduce(add, [F.mse_loss(q, target) for q in values])

    def next_action(self, next_obs: torch.Tensor, normals: torch.Tensor | None) -> torch.Tensor:
        """Return the target actor's action, with noise where there is any."""
        action = self.target_actor(next_obs)
        if normals is None:
            return action
        clip = self.settings.target_noise_clip
        noise = (normals * self.settings.target_noise).clamp(-clip, clip)
        return (action + noise * self.target_actor.action_scale).clamp(-1, 1)

    def actor_step(self, obs: torch.Tensor) -> None:
        """Move the actor; what the critic gets of its gradient is dropped in the next update."""
        actor_loss = -self.critics[0](obs, self.actor(obs)).mean()
        self.actor_optimizer.zero_grad()
        actor_loss.backward()
        self.actor_optimizer.step()

    def polyak(self) -> None:
        """Move the targets, parameter by parameter."""
        critics = zip(self.critics, self.target_critics, strict=True)
        for online, target in ((self.actor, self.target_actor), *critics):
            for p, t in zip(online.parameters(), target.parameters(), strict=True):
                t.data.copy_(TAU * p.data + (1 - TAU) * t.data)


class Fujimoto(Plain):
    """Eager PyTorch as in sfujim/TD3: a replay in float64, Q as a column, one input for all Q."""

    def stored(self, batch: Batch) -> Batch:
        """Return transitions in double precision, as columns; the last one is `not done`."""
        obs, action, reward, next_obs, terminated = (x.astype(np.float64) for x in batch)
        return Batch(obs, action, reward[:, None], next_obs, 1 - terminated[:, None])

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        """Return a copy in single precision."""
        return torch.FloatTensor(array)

    def critic_loss(self, batch: Batch, normals: torch.Tensor | None) -> torch.Tensor:
        """Return the sum of all critics' squared errors."""
        obs, action, reward, next_obs, not_done = batch
        with torch.no_grad():
            next_input = torch.cat([next_obs, self.next_action(next_obs, normals)], 1)
            next_q = reduce(torch.min, [critic.body(next_input) for critic in self.target_critics])
            target = reward + not_done * GAMMA * next_q
        both = torch.cat([obs, action], 1)
        return reduce(add, [F.mse_loss(critic.body(both), target) for critic in self.critics])


class Tuned(Plain):
    """Frozen critics in the actor's step, fused Adam, one polyak call, replay kept in tensors."""

    adam_options = {"fused": True}

    def __init__(self, problem: Problem, threads: int):
        super().__init__(problem, threads)
        self.generator = torch.Generator().manual_seed(1)
        self.tensors = [torch.tensor(array) for array in problem.replay]
        self.followed_parameters = list(self.critics[0].parameters())
        self.online = [*self.actor.parameters(), *self.critic_parameters]
        targets = (self.target_actor, *self.target_critics)
        self.targets = [p for target in targets for p in target.parameters()]

    def sample(self) -> Batch:
        """Sample with tensors all the way."""
        high, size = len(self.tensors[0]), (self.problem.size.batch,)
        rows = torch.randint(high, size, generator=self.generator)
        return Batch(*(array.index_select(0, rows) for array in self.tensors))

    def critic_loss(self, batch: Batch, normals: torch.Tensor | None) -> torch.Tensor:
        """Return the sum of all critics' squared errors."""
        with torch.no_grad():
            next_input = torch.cat([batch.next_obs, self.next_action(batch.next_obs, normals)], 1)
            next_q = reduce(torch.min, [critic.body(next_input) for critic in self.target_critics])
            target = torch.addcmul(batch.reward, 1 - batch.terminated, next_q.view(-1), value=GAMMA)
        both = torch.cat([batch.obs, batch.action], 1)
        values = [critic.body(both).view(-1) for critic in self.critics]
        return reduce(add, [F.mse_loss(q, target) for q in values])

    def actor_step(self, obs: torch.Tensor) -> None:
        """Move the actor through the critic that it follows, whose parameters are frozen."""
        for parameter in self.followed_parameters:
            parameter.requires_grad_(False)
        super().actor_step(obs)
        for parameter in self.followed_parameters:
            parameter.requires_grad_(True)

    def polyak(self) -> None:
        """Move all targets in one call."""
        with torch.no_grad():
            torch._foreach_lerp_(self.targets, self.online, TAU)
