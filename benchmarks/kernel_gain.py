"""What the kernels bring a training step, network by network, and what `use_fast_kernels` picks.

One process, the ways by turns on copies of the same network; least of five steps.
"""

import torch

from convatlas.kernels.layers.choose import KERNELS, fastest, step_seconds
from convatlas.models import create_model
from machine import write_results

NETWORKS = ("resnet18", "mobilenet_v2", "mobilenet_v1", "shufflenet_v2", "squeezenet")
SETTINGS = ((64, 8), (160, 8))  # pixels, images
THREADS = (1, 2)


def main():
    rows = []
    for name in NETWORKS:
        for size, batch in SETTINGS:
            for threads in THREADS:
                torch.set_num_threads(threads)
                torch.manual_seed(0)
                model = create_model(name, num_classes=10)
                seconds = step_seconds(model, (torch.rand(batch, 3, size, size),))
                best_of_torch = min(s for way, s in seconds.items() if way != KERNELS)
                rows.append(
                    {"model": name, "size": size, "batch": batch}
                    | {f"{way}_ms": round(s * 1e3, 1) for way, s in seconds.items()}
                    | {
                        "best_of_torch_over_kernels": round(best_of_torch / seconds[KERNELS], 2),
                        "taken": fastest(seconds),
                        "step_threads": threads,
                    }
                )
    write_results("kernel_gain", rows)


if __name__ == "__main__":
    main()
