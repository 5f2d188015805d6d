"""The code that uses an exported sound classifier without this library."""

from pathlib import Path

from convatlas.ops.loudness import FRAME_S

RUNTIME_CODE = '''\
import json

{numpy}import onnxruntime
import soundfile
import soxr

session = onnxruntime.InferenceSession({file!r})
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])


def read(file):
    """Samples of a sound of any length, one channel at {rate:,} Hz. float32 (samples,)"""
    sound, rate = soundfile.read(file, dtype="float32", always_2d=True)
    {gives}


{silence}probabilities = session.run(None, {{"waveform": read("sound.wav")[None]}})[0][0]
print(classes[probabilities.argmax()], probabilities.max())
'''
SILENCE_CODE = '''\
def without_silence(sound):
    """Leave out the frames that are {below:g} dB or more below the loudest one."""
    frames = sound[: len(sound) // {frame} * {frame}].reshape(-1, {frame})
    power = np.square(frames).mean(axis=1)
    loud = power > power.max(initial=0) * {ratio:.6g}
    if not loud.any():
        return sound
    return np.concatenate([frames[loud].ravel(), sound[frames.size :]])


'''


def sound_runtime_code(file: Path, rate_hz: int, silence_db: float | None = None) -> str:
    """Return code for the exported file: ONNX Runtime, soundfile and soxr are enough.

    Args:
        silence_db: as in `SoundFacts`.
    """
    resampled = f"soxr.resample(sound.mean(axis=1), rate, {rate_hz})"
    if silence_db is None:
        parts = {"numpy": "", "silence": "", "gives": f"return {resampled}"}
    else:
        silence = SILENCE_CODE.format(
            below=silence_db, frame=round(FRAME_S * rate_hz), ratio=10 ** (-silence_db / 10)
        )
        gives = f"return without_silence({resampled})"
        parts = {"numpy": "import numpy as np\n", "silence": silence, "gives": gives}
    return RUNTIME_CODE.format(file=str(file), rate=rate_hz, **parts)
