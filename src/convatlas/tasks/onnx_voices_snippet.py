"""The code that uses an exported separator without this library."""

from collections.abc import Sequence
from pathlib import Path

RUNTIME_CODE = '''\
import onnxruntime
import soundfile
import soxr

session = onnxruntime.InferenceSession({file!r})


def read(file):
    """Samples of a recording, one channel at {rate:,} Hz. float32 (samples,)"""
    sound, rate = soundfile.read(file, dtype="float32", always_2d=True)
    return soxr.resample(sound.mean(axis=1), rate, {rate})


voices = session.run(None, {{"mixture": read("mixture.wav")[None]}})[0][0]
for name, voice in zip({names}, voices):
    soundfile.write(f"mixture-{{name}}.wav", voice, {rate})
'''


def voices_runtime_code(file: Path, rate_hz: int, names: Sequence[str]) -> str:
    """Return code for the exported file: ONNX Runtime, soundfile and soxr are enough."""
    return RUNTIME_CODE.format(file=str(file), rate=rate_hz, names=list(names))
