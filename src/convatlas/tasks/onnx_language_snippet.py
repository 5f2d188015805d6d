"""The code that scores a text with an exported language model without this library."""

from pathlib import Path

from convatlas.data.text.line_data import LineFacts
from convatlas.data.text.vocabulary import SUBWORDS

RUNTIME_CODE = """\
import json

import numpy as np
import onnxruntime
{imports}
session = onnxruntime.InferenceSession({file!r})
vocabulary = json.loads(session.get_modelmeta().custom_metadata_map["vocabulary"])
{vocabulary}
text = "A text to score."
symbols = np.array([encode(text) + [1]])  # 1 ends a text, 2 is unknown
(logits,) = session.run(None, {{"text": symbols}})
logs = logits[0] - np.logaddexp.reduce(logits[0], axis=1, keepdims=True)
bits = -logs[np.arange(symbols.shape[1]), symbols[0]].sum() / np.log(2)
print("bits per character", bits / (len(text) + 1))

written = symbols[:, :-1]  # and on from there, the likeliest symbol each time
for _ in range(40):
    (logits,) = session.run(None, {{"text": np.append(written, [[0]], axis=1)}})
    logits[0, -1, [0, 2]] = -np.inf
    best = logits[0, -1].argmax()
    if best == 1:
        break
    written = np.append(written, [[best]], axis=1)
print(decode(written[0].tolist()))
"""
OF_CHARACTERS = """\
letters = vocabulary["characters"]


def encode(text):
    return [letters.index(c) + 3 if c in letters else 2 for c in text]


def decode(symbols):
    return "".join(letters[s - 3] for s in symbols if s > 2)

"""
OF_SUBWORDS = """\
pieces = sentencepiece.SentencePieceProcessor(model_proto=base64.b64decode(vocabulary["model"]))
encode = pieces.encode


def decode(symbols):
    return pieces.decode([s for s in symbols if s > 2])

"""


def language_runtime_code(file: Path, facts: LineFacts) -> str:
    """Return code for the exported file: ONNX Runtime, numpy and perhaps sentencepiece."""
    pieces = facts.vocabulary["kind"] == SUBWORDS
    code = RUNTIME_CODE.format(
        file=str(file),
        imports="import sentencepiece\n" if pieces else "",
        vocabulary=OF_SUBWORDS if pieces else OF_CHARACTERS,
    )
    return code.replace("import json\n", "import base64\nimport json\n", 1) if pieces else code
