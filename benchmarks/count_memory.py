"""How much memory a forward pass takes, against what `count` says of it.

Every network runs in two processes (one image, float32, evaluation mode, one thread), after a
small other one has made torch load what it loads late. Weights and input are there before. Looked
at is by how much the resident memory of the process grew at most, as the operating system saw it
(the high-water mark of `/proc/self/status`):

- `first_growth_bytes`: in the first run, without `library_bytes`, the code of libraries that this
  run was the first to touch (once a process, whatever the network). Holes of the allocator and
  compiled kernels are in it.
- `again_growth_bytes`: in a second run, with an allocator that gives everything back between runs:
  tensors and workspaces alone.
- `first_of_peak`, `first_of_memory`, `again_of_memory`: weights, input and growth, over
  `peak_bytes` or over `memory_bytes`, which holds the estimated workspace of convolutions as well.

Writes `results/count_memory.csv`.
"""

import argparse
import json
import os
import subprocess
import sys

from machine import write_results

NETWORKS = (
    "resnet18",
    "resnet50",
    "vgg16",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "densenet121",
    "shufflenet_v2",
    "squeezenet",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "xception",
)


# Small blocks go back to the system like large ones, so that it sees what is in use.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def measure(name):
    """One network, in the process that was started for it."""
    import torch

    from convatlas.cost import count
    from convatlas.cost.memory import _resident, measure_growth
    from convatlas.models import create_model

    torch.set_num_threads(1)
    with torch.inference_mode():
        first = create_model("resnet20_cifar").eval()
        first(torch.rand(1, 3, 32, 32))
        model = create_model(name).eval()
        for parameter in model.parameters():  # memory that was never written is not there yet
            parameter.mul_(1)
        inputs = tuple(x.clone() for x in model.example())
        code = _resident("RssFile")
        growths = [measure_growth(lambda: model(*inputs)) for _ in range(2)]
        library = _resident("RssFile") - code
    cost = count(model, inputs)
    return {
        "there_bytes": cost.weight_bytes + sum(x.nbytes for x in inputs),
        "peak_bytes": cost.peak_bytes,
        "memory_bytes": cost.memory_bytes,
        "first": growths[0] - library,
        "library_bytes": library,
        "again": growths[1],
    }


def point(name, allocator):
    command = [sys.executable, __file__, "--point", name]
    done = subprocess.run(
        command, env=os.environ | allocator, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout)


def row(name):
    usual, again = point(name, {}), point(name, ALLOCATOR)["again"]
    there, first = usual["there_bytes"], usual["first"]
    return {
        "network": name,
        "weights_and_input_bytes": there,
        "first_growth_bytes": first,
        "library_bytes": usual["library_bytes"],
        "again_growth_bytes": again,
        "peak_bytes": usual["peak_bytes"],
        "memory_bytes": usual["memory_bytes"],
        "first_of_peak": round((there + first) / usual["peak_bytes"], 3),
        "first_of_memory": round((there + first) / usual["memory_bytes"], 3),
        "again_of_memory": round((there + again) / usual["memory_bytes"], 3),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--point", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.point:
        print(json.dumps(measure(options.point)))
        return
    write_results("count_memory", [row(name) for name in NETWORKS])


if __name__ == "__main__":
    main()
