"""The code that uses an exported extractor without this library."""

from pathlib import Path

RUNTIME_CODE = '''\
{numpy}import onnxruntime
import soundfile
import soxr

session = onnxruntime.InferenceSession({file!r})


def read(file):
    """Samples of a recording, one channel at {rate:,} Hz. float32 (1, samples)"""
    sound, rate = soundfile.read(file, dtype="float32", always_2d=True)
    return soxr.resample(sound.mean(axis=1), rate, {rate})[None]


mixture = read("mixture.wav")
voice = session.run(None, {{"mixture": mixture, {told}}})[0]
voice *= max(0.0, (mixture * voice).sum()) / (voice**2).sum()  # as loud as in the mixture
soundfile.write("mixture-speaker.wav", voice[0], {rate})
'''


CLIP = '"enrolment": read("speaker.wav")'
VECTOR = '"speaker": np.load("speaker.npy").astype("float32")[None]'


def extract_runtime_code(file: Path, rate_hz: int, *, by_vector: bool = False) -> str:
    """Return code for the exported file: ONNX Runtime, soundfile and soxr are enough.

    Args:
        by_vector: a vector tells the speaker, not a clip.
    """
    numpy, told = ("import numpy as np\n", VECTOR) if by_vector else ("", CLIP)
    return RUNTIME_CODE.format(file=str(file), rate=rate_hz, numpy=numpy, told=told)
