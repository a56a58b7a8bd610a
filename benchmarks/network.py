"""StarDist in PyTorch: forward pass, training step and whole prediction, beside plain contiguous PyTorch.

Run ``python benchmarks/network.py [--quick] [--json]`` on a quiet machine. The reference is the same network and
training step in torch's default memory layout with out-of-place activations, measured in turn with ours, each in a
process of its own with the environment that it would have. Where that contiguous PyTorch took 1.46 to 1.74 s (forward,
1024 x 1024) and 0.85 s (step, batch 4 of 256 x 256), TensorFlow took 0.62 to 1.35 s and 0.50 s: ratios of 0.42 to 0.78
and 0.59, the figures to reach.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from os import environ

import torch
from torch import nn

from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.engines.stardist.losses import stardist_losses
from napari_nanoseg.engines.stardist.network import StarDistNet
from napari_nanoseg.io.environment import PERFORMANCE

TENSORFLOW = {"forward": (0.62 / 1.46, 1.35 / 1.74), "step": (0.50 / 0.85, 0.50 / 0.85)}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller images, fewer repeats")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--worker", choices=["ours", "contiguous"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    repeats = 3 if options.quick else 7
    side = 512 if options.quick else 1024
    if options.worker:
        print(json.dumps(measure(options.worker == "ours", side, repeats)))
        return
    rounds = [{kind: in_child(kind, options.quick) for kind in ("contiguous", "ours")} for _ in range(2)]
    figures: dict[str, float] = {}
    for name in ("forward", "step", "step_base16"):
        ours, reference = (min(part[kind][name] for part in rounds) for kind in ("ours", "contiguous"))
        figures |= {f"{name}_s": ours, f"{name}_contiguous_s": reference, f"{name}_ratio": ours / reference}
        print(f"{name}: {ours:.3f} s, contiguous torch {reference:.3f} s, ratio {ours / reference:.2f}", end="")
        low, high = TENSORFLOW.get(name, (0.0, 0.0))
        print(f" (TensorFlow's ratio: {low:.2f} to {high:.2f})" if high else "")
    if options.json:
        print(json.dumps(figures))


def in_child(kind: str, quick: bool) -> dict[str, float]:
    """Measure in a fresh process: allocator and OpenMP read their environment when they start."""
    command = [sys.executable, __file__, "--worker", kind, *(["--quick"] if quick else [])]
    extra = PERFORMANCE if kind == "ours" else {}
    done = subprocess.run(command, env={**environ, **extra}, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def measure(ours: bool, side: int, repeats: int) -> dict[str, float]:
    """Median seconds of each piece of work in this process."""
    torch.manual_seed(0)
    return {
        "forward": forward(ours, side, repeats),
        "step": step(StarDistConfig.original(), ours, 256, repeats),
        "step_base16": step(StarDistConfig(), ours, 128, 3 * repeats),
    }


def network_of(config: StarDistConfig, ours: bool) -> StarDistNet:
    """The network in our memory layout, or in torch's default with activations out of place."""
    network = StarDistNet(config)
    if ours:
        return network.to(memory_format=torch.channels_last)
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return network


def forward(ours: bool, side: int, repeats: int) -> float:
    """Forward pass of the published architecture (32 filters, grid 2)."""
    network = network_of(StarDistConfig.original(), ours).eval()
    image = torch.rand(1, 1, side, side)
    if ours:
        image = image.contiguous(memory_format=torch.channels_last)

    def work() -> None:
        with torch.inference_mode():
            network(image)

    return median_seconds(work, repeats)


def step(config: StarDistConfig, ours: bool, side: int, repeats: int) -> float:
    """Training step with a batch of 4."""
    network = network_of(config, ours).train()
    optimizer = torch.optim.Adam(network.parameters())
    image = torch.rand(4, 1, side, side)
    if ours:
        image = image.contiguous(memory_format=torch.channels_last)
    half = side // 2
    prob, dist = torch.rand(4, 1, half, half), 20 * torch.rand(4, config.n_rays, half, half)

    def work() -> None:
        loss = stardist_losses(network(image), (prob, dist, prob, prob[:, :0]), config)["loss"]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return median_seconds(work, repeats)


def median_seconds(work: Callable[[], None], repeats: int) -> float:
    """Median time of some calls after two to warm up."""
    times = []
    for _ in range(repeats + 2):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times[2:])


if __name__ == "__main__":
    main()
