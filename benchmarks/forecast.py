"""Forecast a week of Los Angeles' traffic: are graph networks better than the two simplest ways?

Each network is trained by `fit` on the first 70 % of the week, chosen by the next 10 %, and judged
on the last 20 %, at 15, 30 and 60 minutes, beside repeating the last reading and the training
part's average at the same time of day. One week only: the test is a Tuesday's evening and a
Wednesday, of which the training part holds no other.

    python benchmarks/forecast.py [--epochs 12] [--seeds 0] [--networks stgcn tgcn3d] [--append]
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import convatlas as ca
from convatlas.models.graphs.stgcn import STGCN
from convatlas.models.graphs.tcn import TCN
from convatlas.models.graphs.tgcn3d import TGCN3D
from convatlas.models.registry import register
from machine import write_results

WIDTH = 0.25  # of the published channels, so that a run takes minutes on one core
NETWORKS = {"stgcn": STGCN, "tgcn3d": TGCN3D, "tcn_shared": TCN}
OPTIONS = {"tcn_shared": {"shared": True}}
SOURCE = "traffic_los_week/los_week.npz"


def main() -> None:
    """Train each network with each seed, and write a row a forecast and horizon."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=float, default=12)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--networks", nargs="+", default=["stgcn", "tgcn3d"])
    parser.add_argument("--append", action="store_true", help="keep the rows that are there")
    args = parser.parse_args()
    data = Path(os.environ["CONVATLAS_DATA"]) / SOURCE
    rows = []
    for name in args.networks:
        narrow = f"{name}_narrow"
        register(narrow, NETWORKS[name], "forecast", width=WIDTH, **OPTIONS.get(name, {}))
        for seed in args.seeds:
            with tempfile.TemporaryDirectory() as folder:
                start = time.process_time()
                run = ca.fit(
                    data,
                    model=narrow,
                    epochs=args.epochs,
                    seed=seed,
                    unit="mph",
                    out=Path(folder) / "run",
                )
                rows += rows_of(run, name, seed, args.epochs, time.process_time() - start)
    write_results("forecast", rows, append=args.append)


def rows_of(run: ca.Run, name: str, seed: int, epochs: float, cpu_s: float) -> list[dict]:
    """Return a row for each horizon and forecast of one run."""
    config = run.config
    assert config.test is not None
    return [
        {
            "network": name,
            "width": WIDTH,
            "params": config.params,
            "macs": config.macs,
            "seed": seed,
            "epochs": epochs,
            "cpu_s": round(cpu_s),
            "windows": config.counts["test"],
            "horizon": row["horizon"],
            "forecast": row["forecast"],
            "mae_mph": round(row["mae"], 3),
            "rmse_mph": round(row["rmse"], 3),
            "mape_percent": round(100 * row["mape"], 2),
            "onnx": config.proof.passed if config.proof else None,
        }
        for row in config.test.model_dump()["horizons"]
    ]


if __name__ == "__main__":
    main()
