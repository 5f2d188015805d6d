"""Which other way of counting a paper may have used: variants of each figure that differs.

    python benchmarks/claim_variants.py [PAPER ...]

Every network with a figure that differs is counted again in parts (biases, normalisation,
activations, poolings, additions, scalings, classifier, other input sizes). A rule is one part or
two, added or left out, with the figure rounded or cut. Coarse figures are met by chance, so a
rule is judged by all counted rows of its table together, those that hold included: the last
column says for how many of them it gives what is printed. The reasons in `claims/*.toml` quote
this table; a rule that meets a single row of many is no cause.
"""

import sys
from collections import Counter
from functools import cache
from itertools import combinations, groupby

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from convatlas.atlas.compare import compare
from convatlas.atlas.counting import build_on_shapes, count_named
from convatlas.claims.loader import load_claims
from convatlas.errors import ConvatlasError
from machine import write_results

ACTIVATIONS = (
    "relu hardtanh sigmoid silu hardswish hardsigmoid leaky_relu tanh gelu mish clamp elu softplus"
)
SIZES = (224, 227, 256)
WITHIN = (("the classifier", "linear layers"), ("the bias of the classifier", "the classifier"))


class Parts(TorchDispatchMode):
    """Numbers that each kind of work touches in one pass, batch 1."""

    def __init__(self):
        super().__init__()
        self.found = Counter()
        self.last_product = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func._schema.name.removeprefix("aten::").removesuffix("_")
        size = (out if isinstance(out, torch.Tensor) else out[0]).numel() if out is not None else 0
        if name == "convolution" and args[2] is not None:
            self.found["biases"] += size
        elif name == "addmm":
            self.found["biases"] += size
            self.last_product = size * args[1].shape[-1]
            self.found["linear layers"] -= self.last_product
        elif "batch_norm" in name:
            self.found["normalisation"] += size
        elif name in ACTIVATIONS.split():
            self.found["activations"] += size
        elif "pool" in name or name == "mean":
            self.found["what poolings read"] += args[0].numel()
            self.found["what poolings give"] += size
        elif name == "add" and out.dim() == 4:
            self.found["additions"] += size
        elif name == "mul" and out.dim() == 4:
            self.found["scalings"] += size
        return out


@cache
def parts_of_macs(model, options, size):
    """Work of one pass beside multiply-adds, by kind; the classifier as what may be left out."""
    network = build_on_shapes(model, dict(options)).eval()
    with torch.device("meta"), torch.no_grad(), Parts() as parts:
        network(torch.empty(1, *size))
    return {**parts.found, "the classifier": -parts.last_product}


@cache
def parts_of_params(model, options, size):
    """Numbers that may be left out or counted as well, by kind."""
    network = build_on_shapes(model, dict(options))
    found = Counter()
    last = None
    for module in network.modules():
        own = dict(module.named_parameters(recurse=False))
        if "Norm" in type(module).__name__ or hasattr(module, "running_mean"):
            found["normalisation"] -= sum(p.numel() for p in own.values())
            found["running statistics"] += sum(
                b.numel() for n, b in module.named_buffers(recurse=False) if "running" in n
            )
        elif "bias" in own:
            found["biases"] -= own["bias"].numel()
        if isinstance(module, nn.Linear):
            last = module
    if last is not None:
        found["the classifier"] -= sum(p.numel() for p in last.parameters())
        if last.bias is not None:
            found["the bias of the classifier"] -= last.bias.numel()
    return dict(found)


def admitted(claim, value):
    """As the figure is printed: rounded, or cut. A cut figure lies up to a unit below."""
    unit = 2 * claim.value * claim.within
    if claim.admits(value):
        return "rounded"
    return "cut" if 0 <= value - claim.value < unit else None


def rules(claim, ours):
    """Every rule with its count for one row."""
    options = tuple(sorted(claim.options.items()))
    yield "our rule", ours
    if claim.quantity != "macs":
        parts = parts_of_params(claim.model, options, claim.input)
        scale = ours // count_named(claim.model, dict(options), claim.input).params
    else:
        parts, scale = parts_of_macs(claim.model, options, claim.input), 1
        for size in SIZES:
            if claim.input[1] in (224, 227, 256) and claim.input[1] != size:
                shape = (claim.input[0], size, size)
                there = count_named(claim.model, dict(options), shape).macs
                yield f"at {size} px", there
                for kind, many in parts_of_macs(claim.model, options, shape).items():
                    word = "with" if many > 0 else "without"
                    yield f"at {size} px, {word} {kind}", there + many
    for many in (1, 2, 3):
        for chosen in combinations(sorted(k for k, v in parts.items() if v), many):
            if any(part in chosen and whole in chosen for part, whole in WITHIN):
                continue
            named = ", ".join(f"{'with' if parts[k] > 0 else 'without'} {k}" for k in chosen)
            yield named, ours + scale * sum(parts[k] for k in chosen)


def table_rows(claims):
    """What each rule makes of the counted rows of one table."""
    met, of, shown = Counter(), 0, []
    for claim in claims:
        try:
            row = compare(claim)
            variants = dict(rules(claim, row.ours)) if row.ours is not None else {}
        except (ConvatlasError, RuntimeError, AttributeError) as error:
            print(f"  {claim.model}: {error}")
            continue
        if not variants:
            continue
        of += 1
        shown.append((claim, row, variants))
        for rule, value in variants.items():
            how = admitted(claim, value)
            met[rule, "rounded"] += how == "rounded"
            met[rule, "cut or rounded"] += how is not None
    return met, of, shown


def table_of(claim):
    return claim.paper, claim.where, claim.quantity


def best_rules(met, of):
    """At most five, none of which meets fewer rows than ours; the plainest first."""
    least = max(1, met["our rule", "rounded"])
    ranked = [(n, -rule.count(","), rule, how) for (rule, how), n in met.items() if n >= least]
    for n, _, rule, how in sorted(ranked, reverse=True)[:5]:
        yield rule, f"{n} of {of}", how


def result_row(claim, row, variants, rule, rows_met):
    nearest = min(variants, key=lambda r: abs(variants[r] - claim.value))
    return {
        "paper": claim.paper,
        "where": claim.where,
        "model": claim.model,
        "quantity": claim.quantity,
        "printed": claim.printed,
        "ours": row.ours,
        "off_percent": round(100 * (row.ours / claim.value - 1), 2),
        "rule_of_the_table": rule,
        "with_it": variants.get(rule),
        "rows_met": rows_met,
        "nearest_rule": nearest,
        "with_nearest": variants[nearest],
    }


def main():
    wanted = sys.argv[1:]
    counted = [c for c in load_claims() if c.check == "count" and c.unchecked is None]
    results = []
    for (paper, where, quantity), claims in groupby(sorted(counted, key=table_of), key=table_of):
        claims = list(claims)
        if (wanted and paper not in wanted) or all(c.differs is None for c in claims):
            continue
        met, of, shown = table_rows(claims)
        print(f"{paper}, {where}, {quantity}: {met['our rule', 'rounded']} of {of} by our rule")
        rules_met = list(best_rules(met, of)) or [("our rule", f"0 of {of}", "rounded")]
        for rule, rows_met, how in rules_met:
            print(f"   {rows_met}: {rule} ({how})")
        for claim, row, variants in shown:
            if claim.differs is not None:
                results.append(result_row(claim, row, variants, *rules_met[0][:2]))
    if not wanted:
        write_results("claim_variants", results)


if __name__ == "__main__":
    main()
