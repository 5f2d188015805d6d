"""The main job on the embedded digits, as `make demo` runs it: how long, how good, how alike.

Writes `results/demo.csv` and what the README shows of it: the real output, the picture and the
measured figures.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from machine import write_results

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "demo.svg"
RUN = Path("runs") / "demo"
COMMAND = (
    f"convatlas fit digits --max-params 100k --max-macs 5M --time-limit 2m --out {RUN} --force"
)


def main():
    start = time.perf_counter()
    words = [str(Path(sys.executable).with_name("convatlas")), *COMMAND.split()[1:]]
    done = subprocess.run(words, cwd=ROOT, text=True, stdout=subprocess.PIPE, check=True)
    seconds = time.perf_counter() - start
    config = json.loads((ROOT / RUN / "run.json").read_text())
    row = {
        "command": COMMAND,
        "seconds": round(seconds, 1),
        "model": config["model"],
        "params": config["params"],
        "macs": config["macs"],
        "test_images": config["counts"]["test"],
        "accuracy": config["figures"]["accuracy"],
        "onnx_top1_agreement": config["proof"]["agreement"],
        "onnx_max_difference": config["proof"]["max_difference"],
    }
    write_results("demo", [row])
    draw(config)
    shown = done.stdout.replace(str(ROOT) + "/", "").rstrip()
    sys.path.insert(0, str(ROOT / "docs"))
    from readme_parts import README, replace_part

    replace_part(README, "demo", f"```console\n$ {COMMAND}\n{shown}\n```\n\n{words_of(row)}")


def words_of(row):
    return (
        f"![Accuracy against cost of every candidate]({PICTURE.relative_to(ROOT)})\n\n"
        f"Measured by `benchmarks/demo.py` on 2 cores: {row['seconds']:.0f} s for everything, "
        f"{row['accuracy']:.1%} on {row['test_images']:,} held-out digits; the ONNX file and the "
        f"network choose the same class on {row['onnx_top1_agreement']:.0%} of them."
    )


def draw(config):
    from convatlas.pipeline.config import RunConfig
    from convatlas.pipeline.pareto_plot import metric_against_cost_svg

    run = RunConfig.model_validate(config)
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(
        metric_against_cost_svg(run.leaderboard, run.metric, run.budget), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
