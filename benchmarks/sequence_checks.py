"""Do the sequence networks learn what they must: three small tasks whose answers are known?

`reverse`: a sequence of 12 symbols out of 20, backwards and 3 added to each, by SliceNet in five
forms at equal steps; what is written first stands last in the source, so that without attention the
first half cannot be known. `double`: each symbol twice, by ByteNet, whose decoder reads the source
at its own place and must look back. `text`: the next byte of the standard library's own sources, by
ByteNet's decoder, beside the entropy of byte pairs on the same text.

    python benchmarks/sequence_checks.py [--tasks reverse double text] [--steps 200] [--append]
"""

import argparse
import math
import sysconfig
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from convatlas.models.translate.bytenet import ByteNet, ByteNetLM
from convatlas.models.translate.slicenet import SliceNet
from convatlas.text.symbols import FIRST_SYMBOL
from machine import write_results

SYMBOLS, LENGTH, BATCH, TESTED = 20, 12, 64, 1000
Pairs = Callable[[int, torch.Generator], tuple[Tensor, Tensor]]
FORMS = {
    "full": {"separability": "full"},
    "sub, 4 groups": {"separability": "sub", "groups": (4,)},
    "super 2/3": {"separability": "super", "groups": (3, 2)},
    "none": {"separability": "none"},
    "full, no attention": {"separability": "full", "attention": False},
}
TEXT_BYTES, CONTEXT = 200, 100  # of a sequence; only what stands behind the context is judged


def reverse(count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw sequences and themselves backwards, 3 added. Shape: both (count, 12)"""
    source = torch.randint(SYMBOLS, (count, LENGTH), generator=random)
    return source + FIRST_SYMBOL, (source.flip(1) + 3) % SYMBOLS + FIRST_SYMBOL


def double(count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw sequences and themselves with each symbol twice. Shape: (count, 12), (count, 24)"""
    source = torch.randint(SYMBOLS, (count, LENGTH), generator=random) + FIRST_SYMBOL
    return source, source.repeat_interleave(2, dim=1)


def train(model: nn.Module, batches: Iterator[tuple[Tensor, ...]], steps: int, skip: int) -> float:
    """Train by Adam with 1e-3 and return the seconds of processor time.

    Args:
        skip: symbols at the beginning that do not count.
    """
    optimizer, start = torch.optim.Adam(model.parameters(), lr=1e-3), time.process_time()
    for step in range(steps):
        *inputs, target = next(batches)
        logits = model.train()(*inputs)[:, skip:]
        loss = functional.cross_entropy(logits.flatten(0, 1), target[:, skip:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 49:
            print(f"  step {step + 1}: loss {loss.item():.3f}", flush=True)
    return time.process_time() - start


def pairs_check(task: str, form: str, model: nn.Module, draw: Pairs, steps: int) -> dict:
    """Train on fresh pairs and return the row of the share of right symbols on others."""
    random = torch.Generator().manual_seed(1)

    def batches() -> Iterator[tuple[Tensor, ...]]:
        while True:
            source, target = draw(BATCH, random)
            yield source, target, target

    cpu_s = train(model, batches(), steps, 0)
    source, target = draw(TESTED, torch.Generator().manual_seed(2))
    with torch.no_grad():
        right = (model.eval()(source, target).argmax(2) == target).double()
    half = target.shape[1] // 2
    return {
        "task": task,
        "network": type(model).__name__,
        "form": form,
        "params": sum(p.numel() for p in model.parameters()),
        "steps": steps,
        "cpu_s": round(cpu_s),
        "accuracy": round(right.mean().item(), 4),
        "accuracy_first_half": round(right[:, :half].mean().item(), 4),
        "bits_per_byte": None,
        "bits_of_pairs": None,
    }


def reverse_rows(steps: int) -> Iterator[dict]:
    """Yield a row for each form of SliceNet."""
    for form, options in FORMS.items():
        print(f"reverse, {form}", flush=True)
        torch.manual_seed(0)
        model = SliceNet(
            source_symbols=SYMBOLS + FIRST_SYMBOL,
            target_symbols=SYMBOLS + FIRST_SYMBOL,
            depth=64,
            kernels=(3, 7, 7, 7),
            encoder_modules=2,
            decoder_modules=2,
            dropout=0.1,
            **options,
        )
        yield pairs_check("reverse", form, model, reverse, steps)


def double_rows(steps: int) -> Iterator[dict]:
    """Yield the row of ByteNet."""
    print("double", flush=True)
    torch.manual_seed(0)
    model = ByteNet(
        source_symbols=SYMBOLS + FIRST_SYMBOL,
        target_symbols=SYMBOLS + FIRST_SYMBOL,
        hidden=32,
        sets=1,
        unfold=2.0,
    )
    yield pairs_check("double", "relu, unfold 2", model, double, steps)


def library_text(limit: int = 1_000_000) -> Tensor:
    """Return the first bytes of the standard library's sources as symbols. Shape: (limit,)"""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    content = b"".join(file.read_bytes() for file in files)[:limit]
    return torch.frombuffer(bytearray(content), dtype=torch.uint8).long() + FIRST_SYMBOL


def bits_of_pairs(train_part: Tensor, test: Tensor) -> float:
    """Return the bits a byte of a model that knows the byte before, one added to each count."""
    pairs = Counter(zip(train_part[:-1].tolist(), train_part[1:].tolist(), strict=True))
    firsts = Counter(train_part[:-1].tolist())
    values = zip(test[:-1].tolist(), test[1:].tolist(), strict=True)
    bits = [-math.log2((pairs[a, b] + 1) / (firsts[a] + 256)) for a, b in values]
    return sum(bits) / len(bits)


def text_rows(steps: int) -> Iterator[dict]:
    """Yield the row of ByteNet's decoder on the last tenth of the text."""
    print("text", flush=True)
    text = library_text()
    cut = len(text) * 9 // 10
    train_part, test = text[:cut], text[cut:]
    random = torch.Generator().manual_seed(1)

    def batches() -> Iterator[tuple[Tensor, ...]]:
        while True:
            starts = torch.randint(cut - TEXT_BYTES, (16, 1), generator=random)
            rows = train_part[starts + torch.arange(TEXT_BYTES)]
            yield rows, rows

    torch.manual_seed(0)
    model = ByteNetLM(hidden=64, sets=2)
    cpu_s = train(model, batches(), steps, CONTEXT)
    starts = torch.arange(0, len(test) - TEXT_BYTES, TEXT_BYTES - CONTEXT)[:, None]
    rows, losses = test[starts + torch.arange(TEXT_BYTES)], []
    with torch.no_grad():
        for part in rows[:512].split(64):
            logits = model.eval()(part)[:, CONTEXT:]
            losses.append(
                functional.cross_entropy(logits.flatten(0, 1), part[:, CONTEXT:].flatten())
            )
    yield {
        "task": "text",
        "network": "ByteNetLM",
        "form": "multiplicative",
        "params": sum(p.numel() for p in model.parameters()),
        "steps": steps,
        "cpu_s": round(cpu_s),
        "accuracy": None,
        "accuracy_first_half": None,
        "bits_per_byte": round(torch.stack(losses).mean().item() / math.log(2), 3),
        "bits_of_pairs": round(bits_of_pairs(train_part, test), 3),
    }


TASKS = {"reverse": reverse_rows, "double": double_rows, "text": text_rows}


def main() -> None:
    """Train each network and write a row for each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--append", action="store_true", help="keep the rows that are there")
    args = parser.parse_args()
    keep = args.append
    for task in args.tasks:
        for row in TASKS[task](args.steps):
            print(row, flush=True)
            write_results("sequence_checks", [row], append=keep)
            keep = True


if __name__ == "__main__":
    main()
