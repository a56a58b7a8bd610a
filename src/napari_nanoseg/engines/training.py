"""The training loop all engines share: steps, schedule, validation, checkpoints, resume.

A checkpoint is written after every epoch and when the training is cancelled; the best weights so far are saved as a
usable model at the same time. So a training that is killed at any moment loses at most one epoch.
"""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, default_collate

from napari_nanoseg.config.train import FilledTrainConfig, TrainConfig
from napari_nanoseg.engines.batches import Batches, prepared
from napari_nanoseg.engines.device import out_of_memory
from napari_nanoseg.engines.torch_files import load_torch
from napari_nanoseg.errors import NanosegError, WorkerGoneError
from napari_nanoseg.events import Cancelled, Epoch, Notice, Progress, Stage, tell, undisturbed
from napari_nanoseg.io.atomic import atomic_path, write_text
from napari_nanoseg.io.model_cards import CHECKPOINT, HISTORY

MOST_CHECKPOINT = 8 << 30
"""Bytes: weights, their mean and two moments of each."""
PLATEAU_PATIENCE = 40  # epochs, and
PLATEAU_FACTOR = 0.5  # as in the original StarDist
MOMENTUM, WEIGHT_DECAY = 0.9, 1e-4  # of SGD, as in Detectron2
EPSILON = 1e-7  # of Adam, as in Keras


def make_optimizer(network: nn.Module, config: FilledTrainConfig) -> torch.optim.Optimizer:
    """The optimiser of the weights that are trained."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if config.optimizer == "sgd":
        return torch.optim.SGD(trained, lr=config.learning_rate, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    return torch.optim.Adam(trained, lr=config.learning_rate, eps=EPSILON)


def channels_last(image: Tensor) -> Tensor:
    """Images or volumes as networks take them fastest."""
    return image.contiguous(memory_format=torch.channels_last_3d if image.ndim == 5 else torch.channels_last)


@dataclass
class Trainable:
    """What an engine hands to :func:`fit`.

    Parameters
    ----------
    network : Module
        On its device.
    items : Dataset
        One item per patch, ``steps * batch_size`` of them; item `k` must depend on `k` alone.
    losses : callable
        From the network, the image batch and the targets to named losses, among them ``loss``, the one minimised.
    validate : callable
        Returns named values, among them ``loss``; smaller is better.
    save : callable
        Writes the network as it is as a usable model.
    preview : callable
        Writes a picture of what the network finds now and returns its path.
    fine_tuning : bool
        Whether the network can do something already: training must make it better, or it stays as it was.
    collate : callable, optional
        From items to the tensors of a batch, images first; by default they are stacked.
    steady : sequence of Module
        Parts that work as in prediction while the others are trained: normalisations whose statistics stay.
    """

    network: nn.Module
    items: Dataset[Any]
    losses: Callable[[nn.Module, Tensor, list[Tensor]], dict[str, Tensor]]
    validate: Callable[[], dict[str, float]]
    save: Callable[[], None]
    preview: Callable[[], str]
    fine_tuning: bool = False
    collate: Callable[[list[Any]], list[Tensor]] = default_collate
    steady: Sequence[nn.Module] = ()


@dataclass
class State:
    """Where a training stands; all of it is in the checkpoint beside weights and optimiser.

    `sums` are the losses of the steps since the last validation, added up.
    """

    step: int = 0
    epoch: int = 0
    best: float = math.inf
    epochs_since_best: int = 0
    rate_factor: float = 1.0
    elapsed_s: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)


def fit(task: Trainable, config: FilledTrainConfig, folder: Path, device: torch.device, *, resume: bool) -> State:
    """Train until the steps are done or patience ends.

    Progress is told after every step. Where the work is left, and at Ctrl-C, a checkpoint is written.

    Parameters
    ----------
    task : Trainable
    config : TrainConfig
    folder : Path
        Of the model; gets the checkpoint and ``history.csv``.
    device : torch.device
    resume : bool
        Go on from the checkpoint in `folder`.

    Returns
    -------
    State
    """
    optimizer = make_optimizer(task.network, config)
    state, draws = State(), None
    torch.manual_seed(config.seed)
    if resume:
        state, draws = _load(folder, task.network, optimizer, config)
        tell(Notice(f"Going on after step {state.step} of {config.steps}."))
    elif task.fine_tuning:
        state.best = task.validate()["loss"]
        task.save()
    tell(Stage("train", f"Training for {config.steps} steps."))
    epochs = -(-config.steps // config.steps_per_epoch)
    batches = prepared(
        Batches(task.items, config.batch_size, task.collate), range(state.step, config.steps), config.workers
    )
    if draws is None:
        torch.empty((), dtype=torch.int64).random_()  # as torch's DataLoader did: a seed gives the model it always gave
    else:
        torch.set_rng_state(draws)
    began = time.monotonic() - state.elapsed_s
    saved = state.step
    try:
        while not _finished(state, config):
            if state.sums and (state.step % config.steps_per_epoch == 0 or state.step == config.steps):
                validation = task.validate()
                losses = _close_epoch(state, validation, config)
                _judge(task, state, validation["loss"], config)
                state.elapsed_s = time.monotonic() - began
                _save(folder, task.network, optimizer, state, config)
                saved = state.step
                remaining = state.elapsed_s / state.step * (config.steps - state.step)
                tell(Epoch(state.epoch, epochs, losses, validation, state.elapsed_s, remaining, task.preview()))
                continue
            batch = next(batches, None)
            if batch is None:
                break
            with undisturbed():  # half a step would change statistics and random numbers, but not the weights
                step_losses = _step(task, optimizer, batch, _rate(state, config), config, device)
            state.step += 1
            for name, value in step_losses.items():
                state.sums[name] = state.sums.get(name, 0.0) + value
            state.elapsed_s = time.monotonic() - began
            tell(Progress(state.step, config.steps, "steps"))
    except (Cancelled, KeyboardInterrupt, WorkerGoneError):
        if state.step != saved:
            _save(folder, task.network, optimizer, state, config)
            if not state.history:
                task.save()
        raise
    finally:
        batches.close()
    if task.fine_tuning and state.epochs_since_best == state.epoch:
        tell(
            Notice(
                "No epoch was better than the model that the training started from, so its weights are kept; train "
                "on more particles, or with a smaller learning_rate."
            )
        )
    return state


def _close_epoch(state: State, validation: dict[str, float], config: TrainConfig) -> dict[str, float]:
    """Put the epoch that is over into the history; return its mean losses."""
    count = state.step - (state.history[-1]["step"] if state.history else 0)
    losses = {name: value / count for name, value in state.sums.items()}
    state.sums = {}
    state.epoch += 1
    state.history.append(
        {"epoch": state.epoch, "step": state.step}
        | {f"train_{name}": value for name, value in losses.items()}
        | {f"validation_{name}": value for name, value in validation.items()}
    )
    return losses


def _finished(state: State, config: TrainConfig) -> bool:
    return config.patience is not None and state.epochs_since_best >= config.patience


def _rate(state: State, config: FilledTrainConfig) -> float:
    """Learning rate of the next step."""
    warm_up = min(config.warm_up, config.steps // 10 + 1)
    rate = config.learning_rate * min(1.0, (state.step + 1) / max(warm_up, 1))
    if config.schedule == "plateau":
        return rate * state.rate_factor
    if config.schedule == "cosine":
        return rate * max(0.5 * (1 + math.cos(math.pi * state.step / config.steps)), 0.01)
    return rate


def _step(
    task: Trainable,
    optimizer: torch.optim.Optimizer,
    batch: list[Tensor],
    rate: float,
    config: TrainConfig,
    device: torch.device,
) -> dict[str, float]:
    for group in optimizer.param_groups:
        group["lr"] = rate
    task.network.train()
    for part in task.steady:
        part.eval()
    image, *targets = (part.to(device, non_blocking=True) for part in batch)
    half = config.mixed_precision and device.type == "cuda"
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            losses = task.losses(task.network, channels_last(image), targets)
        optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        values = {name: float(value.detach()) for name, value in losses.items()}
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise NanosegError(
            f"The device '{device}' has not enough memory for batches of {config.batch_size} patches of "
            f"{config.patch_size} px; train again with a smaller batch_size or patch_size, in another folder."
        ) from error
    if not math.isfinite(values["loss"]):
        raise NanosegError(
            "The training diverged (the loss is not a number); start again with a smaller learning_rate."
        )
    return values


def _judge(task: Trainable, state: State, loss: float, config: TrainConfig) -> None:
    """Keep the best weights; let the rate fall on a plateau."""
    if loss < state.best:
        state.best, state.epochs_since_best = loss, 0
        task.save()
        return
    state.epochs_since_best += 1
    if config.schedule == "plateau" and state.epochs_since_best % PLATEAU_PATIENCE == 0:
        state.rate_factor *= PLATEAU_FACTOR


def _same_training(config: TrainConfig) -> dict[str, Any]:
    """What must not change between the parts of a training; with more steps, it goes on after its end."""
    return config.model_dump(mode="json", exclude={"device", "workers", "mixed_precision", "patience", "steps"})


def _save(
    folder: Path, network: nn.Module, optimizer: torch.optim.Optimizer, state: State, config: TrainConfig
) -> None:
    content = {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "state": vars(state),
        "config": _same_training(config),
        "rng": torch.get_rng_state(),
    }
    with atomic_path(folder / CHECKPOINT) as temporary, temporary.open("wb") as file:
        torch.save(content, file)  # by its name, torch would not tell of a full disk
    if state.history:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(state.history[0]))
        writer.writeheader()
        writer.writerows(state.history)
        write_text(folder / HISTORY, text.getvalue())


def _load(
    folder: Path, network: nn.Module, optimizer: torch.optim.Optimizer, config: TrainConfig
) -> tuple[State, Tensor]:
    """Where the training stands, and the state of torch's generator."""
    path = folder / CHECKPOINT
    content = load_torch(path, "delete it and start the training again", MOST_CHECKPOINT)
    try:
        # A training that an earlier version began has not all fields: it did what their defaults mean.
        state, before = State(**content["state"]), _same_training(TrainConfig()) | content["config"]
        now = _same_training(config)
        changed = sorted(name for name in now if now[name] != before.get(name))
        if changed:
            raise NanosegError(
                f"The training in {folder} was started with another value of {', '.join(changed)}; "
                "resume it with the same settings, or start a new one in another folder."
            )
        network.load_state_dict(content["network"])
        optimizer.load_state_dict(content["optimizer"])
        draws: Tensor = content["rng"]
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        raise NanosegError(f"{path} is damaged ({error}); delete it and start the training again.") from error
    return state, draws
