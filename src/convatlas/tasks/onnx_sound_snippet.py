"""The code that uses an exported sound classifier without this library."""

from pathlib import Path

RUNTIME_CODE = '''\
import json

import onnxruntime
import soundfile
import soxr

session = onnxruntime.InferenceSession({file!r})
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])


def read(file):
    """Samples of a sound of any length, one channel at {rate:,} Hz. float32 (samples,)"""
    sound, rate = soundfile.read(file, dtype="float32", always_2d=True)
    return soxr.resample(sound.mean(axis=1), rate, {rate})


probabilities = session.run(None, {{"waveform": read("sound.wav")[None]}})[0][0]
print(classes[probabilities.argmax()], probabilities.max())
'''


def sound_runtime_code(file: Path, rate_hz: int) -> str:
    """Return code for the exported file: ONNX Runtime, soundfile and soxr are enough."""
    return RUNTIME_CODE.format(file=str(file), rate=rate_hz)
