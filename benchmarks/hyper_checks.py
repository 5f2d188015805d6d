"""Two small checks of generated weights that take a minute each.

- Characters of Python's own documentation strings: HyperLSTM beside an LSTM of as many units at
  equal steps, bits a character on a part that neither has read. It should not be worse by more
  than two percent.
- Digits of 8 x 8 pixels: a network whose second kernel, 3 x 3 x 16 x 16, is generated from
  embeddings of four numbers beside one with a kernel of its own. It should be within 1.5 points
  and above 96 percent.

    python benchmarks/hyper_checks.py [--steps 600] [--epochs 60] [--seeds 0]
"""

import argparse
import json
import logging
import math
import subprocess
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.blocks import GeneratedConv, KernelGenerator
from convatlas.models.translate.hyper_lstm import HyperLSTM
from convatlas.text.symbols import FIRST_SYMBOL
from machine import write_results

MODULES = (argparse, json, logging, math, subprocess, torch, nn, F, Tensor)
CHARACTERS = 200_000
BATCH, LENGTH = 16, 50
MAX_WORSE, MAX_POINTS, MIN_ACCURACY = 0.02, 1.5, 96.0


def main() -> None:
    """Run both checks and write a row a network."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    args = parser.parse_args()
    rows = []
    for seed in args.seeds:
        rows += text_rows(args.steps, seed) + digit_rows(args.epochs, seed)
    write_results("hyper_checks", rows)


def row(check: str, network: str, params: int, seed: int, steps: int, **figures: object) -> dict:
    """Return what both checks have to say in the same columns."""
    empty = {"unit": "", "figure": "", "limit": "", "holds": "", "cpu_s": ""}
    known = {"check": check, "network": network, "params": params, "seed": seed, "steps": steps}
    return {**known, **empty, **figures}


def text_rows(steps: int, seed: int) -> list[dict]:
    """Train both language models equally long; the last tenth of the text judges."""
    text, symbols = documentation()
    cut = len(text) * 9 // 10
    found = []
    for name, small in (("LSTM", 0), ("HyperLSTM", 16)):
        torch.manual_seed(seed)
        model = HyperLSTM(symbols=symbols, hidden=64, small=small, embedding=4, dropout=0.0)
        start = time.process_time()
        learn(model, text[:cut], steps)
        bits = bits_per_char(model, text[cut:])
        found.append((name, params_of(model), bits, round(time.process_time() - start)))
    limit = found[0][2] * (1 + MAX_WORSE)
    return [
        row(
            "documentation strings",
            name,
            params,
            seed,
            steps,
            unit="bits per character",
            figure=round(bits, 4),
            limit=round(limit, 4),
            holds=bits <= limit,
            cpu_s=seconds,
        )
        for name, params, bits, seconds in found
    ]


def documentation() -> tuple[Tensor, int]:
    """Return the characters of docstrings as symbols, and how many there are."""
    words: list[str] = []
    for module in MODULES:
        for name in sorted(vars(module)) if hasattr(module, "__dict__") else ():
            doc = getattr(vars(module)[name], "__doc__", None)
            words += [doc] if isinstance(doc, str) else []
    text = "\n".join(dict.fromkeys(words))[:CHARACTERS]
    known = {letter: number for number, letter in enumerate(sorted(set(text)), FIRST_SYMBOL)}
    return torch.tensor([known[letter] for letter in text]), FIRST_SYMBOL + len(known)


def learn(model: HyperLSTM, text: Tensor, steps: int) -> None:
    """Take steps of Adam on texts that begin anywhere."""
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    model.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 5e-3 * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        begin = torch.randint(len(text) - LENGTH, (BATCH,))
        batch = text[begin[:, None] + torch.arange(LENGTH)]
        optimizer.zero_grad()
        F.cross_entropy(model(batch).flatten(0, 1), batch.flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


@torch.no_grad()
def bits_per_char(model: HyperLSTM, text: Tensor) -> float:
    """Return the mean over texts of the same length."""
    texts = text[: len(text) // LENGTH * LENGTH].reshape(-1, LENGTH)
    loss = F.cross_entropy(model.eval()(texts).flatten(0, 1), texts.flatten())
    return float(loss) / math.log(2)


def digit_rows(epochs: int, seed: int) -> list[dict]:
    """Train both classifiers of digits; a third of the images judges."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(seed))
    images = torch.tensor(digits.images, dtype=torch.float32)[order, None] / 16
    labels = torch.tensor(digits.target)[order]
    cut = len(labels) * 2 // 3
    found = []
    for name in ("ordinary kernel", "generated kernel"):
        torch.manual_seed(seed)
        model = DigitNet(generated=name == "generated kernel")
        start = time.process_time()
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        for _ in range(epochs):
            for batch in torch.randperm(cut).split(64):
                optimizer.zero_grad()
                F.cross_entropy(model(images[batch]), labels[batch]).backward()
                optimizer.step()
        with torch.no_grad():
            right = model(images[cut:]).argmax(1) == labels[cut:]
        percent = 100 * float(right.float().mean())
        kernel = sum(p.numel() for p in model.second.parameters() if p.ndim > 1)
        kernel += 0 if model.generator is None else params_of(model.generator)
        found.append((name, kernel, percent, round(time.process_time() - start)))
    limit = max(found[0][2] - MAX_POINTS, MIN_ACCURACY)
    return [
        row(
            "digits",
            name,
            params,
            seed,
            epochs,
            unit="% right; params of the second kernel",
            figure=round(percent, 2),
            limit=round(limit, 2),
            holds=percent >= limit,
            cpu_s=seconds,
        )
        for name, params, percent, seconds in found
    ]


class DigitNet(nn.Module):
    """Two convolutions with pooling and a linear layer. Shape: (n, 1, 8, 8) -> (n, 10)"""

    def __init__(self, *, generated: bool):
        super().__init__()
        self.generator = KernelGenerator(embedding=4) if generated else None
        self.first = nn.Conv2d(1, 16, 3, padding=1)
        if self.generator is None:
            self.second: nn.Module = nn.Conv2d(16, 16, 3, padding=1)
        else:
            self.second = GeneratedConv(16, 16, self.generator, bias=nn.Parameter(torch.zeros(16)))
        self.last = nn.Linear(16 * 4, 10)

    def forward(self, x: Tensor) -> Tensor:
        y = F.max_pool2d(F.relu(self.first(x)), 2)
        y = F.max_pool2d(F.relu(self.second(y)), 2)
        return self.last(y.flatten(1))


def params_of(model: nn.Module) -> int:
    """Count the parameters."""
    return sum(p.numel() for p in model.parameters())


if __name__ == "__main__":
    main()
