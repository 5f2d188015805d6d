"""What separating speech costs: a training step with and without the kernels, and streaming.

Least of several runs, in processor seconds of one thread, so that other work on the machine
counts little. The peer is asteroid's build of the same configuration where that is installed; the
answers of both are held equal in tests/models/speech/test_conv_tasnet.py.
"""

import copy
import time
from importlib import import_module

import torch

from convatlas.kernels import fast_layers
from convatlas.models import create_model
from convatlas.models.speech.streaming import CausalStream
from machine import write_results

ROUNDS = 4
SAMPLES = 8000  # one second
PIECES = (640, 4000)  # samples of a stream's pieces: 80 and 500 ms
STEPS = ("conv_tasnet_small", "conv_tasnet", "mitas")
STREAMS = ({"width": 0.25}, {})


def processor_s(run):
    start = time.process_time()
    run()
    return time.process_time() - start


def step(model, inputs):
    def run():
        model.zero_grad()
        model(inputs).square().mean().backward()

    return run


def asteroid_step(ours, inputs):
    """A step of the peer's separator between our encoder and decoder; None without the peer."""
    try:
        peer = import_module("asteroid.masknn.convolutional").TDConvNet
    except ImportError:
        return None
    n, b = ours.basis.encoder.out_channels, ours.bottleneck.out_channels
    mix = ours.blocks.mixes[0]
    masks = peer(
        n, ours.speakers, n_blocks=len(ours.blocks.dilations),
        n_repeats=len(ours.blocks.mix_of) // len(ours.blocks.dilations), bn_chan=b,
        hid_chan=mix.widen.out_channels, skip_chan=mix.skip.out_channels, mask_act="sigmoid",
    )  # fmt: skip

    def run():
        ours.zero_grad()
        masks.zero_grad()
        weights = ours.basis.encode(inputs)
        voices = ours.basis.decode(masks(weights) * weights.unsqueeze(1), inputs.shape[1])
        voices.square().mean().backward()

    return run


def training_rows():
    for name in STEPS:
        torch.manual_seed(0)
        model = create_model(name)
        (inputs,) = model.example(batch=1, samples=SAMPLES)
        ways = {
            "torch": step(model, inputs),
            "kernels": step(fast_layers(copy.deepcopy(model)), inputs),
        }
        if name != "mitas" and (peer := asteroid_step(copy.deepcopy(model), inputs)):
            ways["asteroid"] = peer
        seconds = dict.fromkeys(ways, float("inf"))
        for _ in range(ROUNDS):
            for way, run in ways.items():
                seconds[way] = min(seconds[way], processor_s(run))
        yield {"model": name, "options": "", "what": "step of one second"} | {
            f"{way}_s": round(seconds[way], 3) if way in seconds else ""
            for way in ("torch", "kernels", "asteroid")
        }


def streaming_rows():
    for options in STREAMS:
        torch.manual_seed(0)
        model = create_model("conv_tasnet_causal", **options).eval()
        (inputs,) = model.example(samples=2 * SAMPLES)
        named = " ".join(f"{name}={value}" for name, value in options.items())
        for piece in PIECES:
            stream = CausalStream(model)

            def run(stream=stream, piece=piece, inputs=inputs):
                for samples in inputs.split(piece, dim=1):
                    stream.push(samples)

            seconds = min(processor_s(run) for _ in range(ROUNDS)) / 2
            what = f"streaming, a second of sound in pieces of {1000 * piece // SAMPLES} ms"
            row = {"model": "conv_tasnet_causal", "options": named, "what": what}
            yield row | {"torch_s": round(seconds, 3), "kernels_s": "", "asteroid_s": ""}


def main():
    torch.set_num_threads(1)
    write_results("speech_step", [*training_rows(), *streaming_rows()])


if __name__ == "__main__":
    main()
