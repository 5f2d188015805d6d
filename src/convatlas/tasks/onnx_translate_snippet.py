"""The code that translates with an exported file without this library."""

from pathlib import Path

from convatlas.data.text.pair_data import PairFacts
from convatlas.data.text.vocabulary import SUBWORDS
from convatlas.train.tasks.translate import LIMIT_RATIO, MIN_LIMIT

RUNTIME_CODE = """\
import json

import numpy as np
import onnxruntime
{imports}
session = onnxruntime.InferenceSession({file!r})
known = session.get_modelmeta().custom_metadata_map
{vocabulary}
text = "{text}"
source = np.array([encode(text) + [1]])  # 1 ends a sentence, 0 fills up, 2 is unknown
written = np.zeros((1, 1), np.int64)  # what stands in the last place is not read
limit = min(int(known["longest_target"]), {least} + {ratio} * source.shape[1])
while written.shape[1] <= limit:
    (logits,) = session.run(None, {{"source": source, "written": written}})
    logits[0, -1, [0, 2]] = -np.inf
    written[0, -1] = logits[0, -1].argmax()
    if written[0, -1] == 1:
        break
    written = np.append(written, [[0]], axis=1)
print(decode(written[0].tolist()))
"""
OF_CHARACTERS = """\
source_letters = json.loads(known["source_vocabulary"])["characters"]
target_letters = json.loads(known["target_vocabulary"])["characters"]


def encode(text):
    return [source_letters.index(c) + 3 if c in source_letters else 2 for c in text]


def decode(symbols):
    return "".join(target_letters[s - 3] for s in symbols if s > 2)

"""
OF_SUBWORDS = """\
model = json.loads(known["source_vocabulary"])["model"]
pieces = sentencepiece.SentencePieceProcessor(model_proto=base64.b64decode(model))
encode = pieces.encode


def decode(symbols):
    return pieces.decode([s for s in symbols if s > 2])

"""


def translate_runtime_code(file: Path, facts: PairFacts) -> str:
    """Return code for the exported file: ONNX Runtime, numpy and perhaps sentencepiece are enough.

    It computes all of what is written again for each symbol: short, and fast enough for sentences.
    """
    pieces = facts.source_vocabulary["kind"] == SUBWORDS
    code = RUNTIME_CODE.format(
        file=str(file),
        imports="import sentencepiece\n" if pieces else "",
        vocabulary=OF_SUBWORDS if pieces else OF_CHARACTERS,
        text="A sentence to translate.",
        least=MIN_LIMIT,
        ratio=LIMIT_RATIO,
    )
    return code.replace("import json\n", "import base64\nimport json\n", 1) if pieces else code
