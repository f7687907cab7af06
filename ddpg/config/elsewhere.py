"""What a setting is called elsewhere: Stable-Baselines3, its zoo, CleanRL, Spinning Up, TD3.

near_settings("learning_rate", known)      # ["actor_lr", "critic_lr"]
near_settings("batchsize", known)          # ["batch_size"]: the nearest spelling
"""

from collections.abc import Callable, Collection
from difflib import get_close_matches

ELSEWHERE = {
    "env": "env_id",
    "env_name": "env_id",
    "environment": "env_id",
    "gym_id": "env_id",
    "task": "env_id",
    "max_timesteps": "total_timesteps",
    "n_timesteps": "total_timesteps",
    "num_timesteps": "total_timesteps",
    "timesteps": "total_timesteps",
    "n": "total_timesteps",
    "total_steps": "total_timesteps",
    "steps": "total_timesteps",
    "epochs": "total_timesteps",
    "steps_per_epoch": "total_timesteps",
    "eval_freq": "eval_every",
    "evaluation_frequency": "eval_every",
    "n_eval_episodes": "eval_episodes episodes",
    "num_test_episodes": "eval_episodes episodes",
    "n_episodes": "episodes",
    "save_freq": "checkpoint_every",
    "save_model": "checkpoint_every",
    "capture_video": "video_every_eval",
    "record_video": "video_every_eval",
    "video": "video_every_eval",
    "exp_name": "run_dir",
    "log_dir": "run_dir",
    "log_folder": "run_dir",
    "log_path": "run_dir",
    "output_dir": "run_dir",
    "save_path": "run_dir",
    "conf_file": "config",
    "load_model": "resume",
    "trained_agent": "resume",
    "num_threads": "threads",
    "n_threads": "threads",
    "net_arch": "hidden",
    "policy_kwargs": "hidden",
    "hid": "hidden",
    "hidden_sizes": "hidden",
    "layers": "hidden",
    "learning_rate": "actor_lr critic_lr",
    "lr": "actor_lr critic_lr",
    "pi_lr": "actor_lr",
    "policy_lr": "actor_lr",
    "q_lr": "critic_lr",
    "discount": "gamma",
    "polyak": "tau",
    "target_update": "tau",
    "batch": "batch_size",
    "memory_size": "buffer_size",
    "replay_size": "buffer_size",
    "learning_starts": "warmup_steps",
    "start_steps": "warmup_steps",
    "start_timesteps": "warmup_steps",
    "update_after": "warmup_steps",
    "random_steps": "warmup_steps",
    "gradient_steps": "updates_per_step",
    "train_freq": "updates_per_step",
    "update_every": "updates_per_step",
    "utd_ratio": "updates_per_step",
    "algo": "algorithm",
    "n_critics": "critics",
    "num_critics": "critics",
    "num_qs": "critics",
    "policy_noise": "target_noise",
    "target_policy_noise": "target_noise",
    "noise_clip": "target_noise_clip",
    "target_clip": "target_noise_clip",
    "policy_delay": "actor_every",
    "policy_freq": "actor_every",
    "policy_frequency": "actor_every",
    "target_network_frequency": "actor_every",
    "target_update_interval": "actor_every",
    "n_steps": "n_step",
    "nstep": "n_step",
    "multi_step": "n_step",
    "layer_norm": "critic_layer_norm",
    "use_layer_norm": "critic_layer_norm",
    "ln": "critic_layer_norm",
    "weight_decay": "critic_weight_decay",
    "l2": "critic_weight_decay",
    "q_weight_decay": "critic_weight_decay",
    "max_grad_norm": "grad_clip",
    "clip_grad": "grad_clip",
    "gradient_clip": "grad_clip",
    "n_envs": "num_envs",
    "vec_env_cls": "vectorization",
    "vectorization_mode": "vectorization",
    "normalize": "normalize_observations",
    "norm_obs": "normalize_observations",
    "normalize_obs": "normalize_observations",
    "obs_norm": "normalize_observations",
    "noise_type": "noise",
    "action_noise": "noise noise_std",
    "act_noise": "noise_std",
    "expl_noise": "noise_std",
    "exploration_noise": "noise_std",
    "noise_sigma": "noise_std",
}
"""Their name, without dashes -> ours, one or several."""


REMARKS = {
    "polyak": "tau is 1 - polyak",
    "cuda": "everything runs on the CPU",
    "device": "everything runs on the CPU",
    "gpu": "everything runs on the CPU",
    "track": "a run's folder has its tables",
    "tensorboard_log": "a run's folder has its tables",
    "wandb_project_name": "a run's folder has its tables",
}
"""Their name -> what else there is to say, or why nothing stands for it."""


def hint(name: str, known: Collection[str], spelled: Callable[[str], str] = repr) -> str:
    """Which of `known` may be meant by `name`, by what others call them, else by their letters.

    `spelled` writes a name for the reader; "" if there is nothing to say.
    """
    plain = name.strip("-_").replace("-", "_").lower()
    near = [ours for ours in ELSEWHERE.get(plain, plain).split() if ours in known]
    if not near and plain not in REMARKS:
        near = get_close_matches(plain, known, n=1)
    meant = f"did you mean {' or '.join(map(spelled, near))}?" if near else ""
    return " ".join(part for part in (meant, REMARKS.get(plain, "")) if part)
