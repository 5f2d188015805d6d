"""The code that classifies a text with an exported file without this library."""

from pathlib import Path

from convatlas.data.text.labelled_data import TextFacts
from convatlas.data.text.vocabulary import CHARACTERS, SUBWORDS
from convatlas.data.text.words import PATTERN, WORDS

RUNTIME_CODE = """\
import json
{imports}
import numpy as np
import onnxruntime
{packages}
session = onnxruntime.InferenceSession({file!r})
known = session.get_modelmeta().custom_metadata_map
classes, vocabulary = json.loads(known["classes"]), json.loads(known["vocabulary"])
{encode}
text = "A text to classify."
symbols = np.array([encode(" ".join(text.split())) + [1]])  # 1 ends a text, 2 is unknown
probabilities = session.run(None, {{"symbols": symbols}})[0][0]
print(classes[probabilities.argmax()], probabilities.max())
"""
BY_PLACE = """\
places = {{symbol: place + 3 for place, symbol in enumerate(vocabulary[{key!r}])}}


def encode(text):
    return [places.get(symbol, 2) for symbol in {symbols}]

"""
BY_PIECES = """\
model = base64.b64decode(vocabulary["model"])
encode = sentencepiece.SentencePieceProcessor(model_proto=model).encode
"""


def text_runtime_code(file: Path, facts: TextFacts) -> str:
    """Return code for the exported file: ONNX Runtime, numpy and perhaps sentencepiece."""
    kind = facts.vocabulary["kind"]
    by_words = BY_PLACE.format(key="words", symbols=f"re.findall(r{PATTERN!r}, text.lower())")
    encode = {
        CHARACTERS: BY_PLACE.format(key="characters", symbols="text"),
        WORDS: by_words.replace("\\\\", "\\"),
        SUBWORDS: BY_PIECES,
    }[kind]
    return RUNTIME_CODE.format(
        file=str(file),
        imports={WORDS: "import re\n", SUBWORDS: "import base64\n"}.get(kind, ""),
        packages="import sentencepiece\n" if kind == SUBWORDS else "",
        encode=encode,
    ).replace("import json\nimport base64", "import base64\nimport json")
