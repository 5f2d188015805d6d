"""The code that uses an exported separator without this library."""

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
for number, voice in enumerate(voices, start=1):
    soundfile.write(f"mixture-voice{{number}}.wav", voice, {rate})
'''


def voices_runtime_code(file: Path, rate_hz: int) -> str:
    """Return code for the exported file: ONNX Runtime, soundfile and soxr are enough."""
    return RUNTIME_CODE.format(file=str(file), rate=rate_hz)
