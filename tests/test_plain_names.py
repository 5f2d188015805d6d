"""Names, docstrings and comments use the words of the field and plain English.

The sources are read, not run. A file that still has faults of one kind stands in `NOT_YET` below;
the list only shrinks, because a listed file without such a fault fails here.
"""

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "convatlas"
FILES = {path.relative_to(SOURCE).as_posix(): path for path in sorted(SOURCE.rglob("*.py"))}


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Names that a newcomer had to be told, each with the field's word in its place today. Everyday
# words, such as `rows`, `share`, `answer` and `seen`, had a private meaning in one room only; there
# they are forbidden as names of files, functions and classes.
OLD_NAMES = {
    "": """
        contest Contest Contender Entrant fates Fate fate_of starting_points reuse tradeoff
        reporting report_parts choosing halve in_turns promise promising_first capability
        untimely Counted structures undominated ladders made_up twins shown shown_few
        ground_level eight_bit on_white turned learnt learnt_lr final_lr refresh_statistics prove
        race Race Timed is_free time_in_turns human Plan wiring Wiring accelerate unit_calls
        unit_rows unit_tables endings SUMMED PULLED slivers turn_weights in_turn give_way NOUGHT
        """,
    "atlas": "words",
    "cost": "flags free turns",
    "deploy": "holds proof",
    "kernels": """
        chain Value units product call workers switch asked beside pace seen made given passed
        part parts own whole PLAIN
        """,
    "ops": "kinds plan beside",
    "pipeline": "answers answer starting job",
    "search": "turns pool play drop rows",
    "train": "statistics average",
}
OLD_CONSTANT = re.compile(r"_?(LEAST|MOST|LARGEST)(_|$)")
DIALECT = re.compile(
    r"\b(nobody|whoever|somebody|likewise|as above|so many|nought|learnt)\b", re.IGNORECASE
)

# First words of docstrings of functions. A new verb is added here, on purpose; no noun is.
VERBS = words(
    """
    Adapt Add Align Answer Applies Apply Ask Average Averages Batch Begin Book Bring Build
        Call Change Check Choose Compare Compile Compute Convolve Convolves Copy Count Counts Cut
        Cuts Decode Do Draw Emit End Estimate Examine Fill Filter Filters Find Finish Forget Free
        Gather Give Go Guess Hand Have Hold Import Invert Keep Leave Leaves Let List Load Make
        Makes Mark Measure Mix Mixes Move Moves Multiply Name Normalise Open Order Pack Parse Plan
        Play Print Put Raise Read Reads Refuse Remember Report Restore Return Round Route Run Say
        Scale Sees Set Share Shorten Show Shows Shuffles Silence Spread Spreads Stop Store Sum
        Switch Take Tell Test Time Train Transform Translate Turn Undo Use Wait Weighs Work Write
        Yield Clamp Forecast Lay Resize Separate Shrink Split
    """
)
NOT_VERBS = {"The", "A", "An", "What", "How", "Those", "Whether", "All", "Each", "One", "As", "Of"}

# Files not rewritten yet: kind of fault -> files.
NOT_YET = {
    "name": words(
        """
        """
    ),
    "dialect": words(
        """
        """
    ),
    "docstring": words(
        """
        """
    ),
}


def names(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Names that a module gives, and whether each is one of a function or class."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, True
        elif isinstance(node, ast.arg):
            yield node.arg, False
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id.isupper():
            yield node.id, False


def old_names(file: str, text: str) -> list[str]:
    """Names of the left column of the table, and constants named by a superlative."""
    everywhere = set(OLD_NAMES[""].split())
    here = set(OLD_NAMES.get(file.partition("/")[0], "").split())
    found = [(Path(file).stem, True), *names(ast.parse(text))]
    return [
        name
        for name, defined in found
        if name.strip("_") in everywhere or (name in here and defined) or OLD_CONSTANT.match(name)
    ]


def prose(text: str) -> Iterator[str]:
    """Docstrings and comments."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            yield ast.get_docstring(node) or ""
    block: list[str] = []  # comments on lines that follow each other
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            block.append(token.string.lstrip("# "))
        elif token.type not in (tokenize.NL, tokenize.NEWLINE) and block:
            yield " ".join(block)
            block = []


def dialect(text: str) -> list[str]:
    return [found[0] for each in prose(text) for found in DIALECT.finditer(" ".join(each.split()))]


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Public functions and methods; properties are read like fields and may be noun phrases."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) or (
            isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        ):
            yield from functions(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            marks = [ast.unparse(mark) for mark in node.decorator_list]
            if not node.name.startswith("_") and not any("property" in mark for mark in marks):
                yield node


def not_verbs(text: str) -> list[str]:
    """First words of docstrings that are no known verb."""
    docs = {node.name: ast.get_docstring(node) for node in functions(ast.parse(text))}
    words = {name: doc.split()[0].rstrip(",.:;") for name, doc in docs.items() if doc}
    return [f"{name}: {word}" for name, word in words.items() if word not in VERBS]


def faults(kind: str, file: str) -> list[str]:
    text = FILES[file].read_text("utf-8")
    if kind == "name":
        return old_names(file, text)
    return dialect(text) if kind == "dialect" else not_verbs(text)


@pytest.mark.parametrize("kind", NOT_YET)
def test_names_docstrings_and_comments_are_plain(kind):
    found = {file: faults(kind, file) for file in FILES}
    assert {file: each for file, each in found.items() if each and file not in NOT_YET[kind]} == {}
    clean = [file for file in NOT_YET[kind] if not found[file]]
    assert clean == [], "take these out of NOT_YET"


def test_files_not_yet_rewritten_exist():
    assert [file for files in NOT_YET.values() for file in files if file not in FILES] == []


def test_bounds_of_one_name_have_one_meaning():
    homes = defaultdict(set)
    for file, path in FILES.items():
        for node in ast.parse(path.read_text("utf-8")).body:
            for target in node.targets if isinstance(node, ast.Assign) else ():
                if isinstance(target, ast.Name) and re.match(r"_?(MIN|MAX)_", target.id):
                    homes[target.id].add(file)
    assert {name: sorted(files) for name, files in homes.items() if len(files) > 1} == {}


def test_no_article_or_question_word_counts_as_a_verb():
    assert VERBS.isdisjoint(NOT_VERBS)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("search/contest.py", ""),
        ("cost/zero_cost_ops.py", "def is_free(op): ..."),
        ("data/names.py", "def _shown(name): ..."),
        ("ops/conv.py", "class Plan: ..."),
        ("train/loop.py", "def fit(*, learnt_lr): ..."),
        ("pipeline/fit.py", "LEAST_STEPS = 3"),
        ("models/vgg.py", "class A:\n    MOST_CHANNELS = 3"),
        ("kernels/launch/pointwise.py", "def product(): ..."),
    ],
)
def test_old_names_are_found(file, text):
    assert len(old_names(file, text)) == 1


def test_everyday_names_are_left_alone():
    assert old_names("models/vgg.py", "def product(rows, share): seen = rows") == []
    assert old_names("pipeline/fit.py", "MIN_STEPS = ALMOST = 3") == []


@pytest.mark.parametrize(
    "text",
    [
        '"""Files that nobody reads."""',
        'def f():\n    """Return it.\n\n    Whoever asks gets it.\n    """',
        "x = 1  # learnt names",
        "# this many, or so\n# many more\nx = 1",
        'class A:\n    """Does as above."""',
    ],
)
def test_dialect_is_found(text):
    assert len(dialect(text)) == 1


def test_strings_are_left_alone():
    assert dialect('say("learnt by nobody")') == []


@pytest.mark.parametrize("doc", ["The rows.", "What it holds.", "`p90` of it.", "Whether it is."])
def test_docstrings_that_begin_with_no_verb_are_found(doc):
    assert len(not_verbs(f'def f():\n    """{doc}"""')) == 1
    assert len(not_verbs(f'class A:\n    def f(self):\n        """{doc}"""')) == 1


def test_properties_classes_and_private_functions_may_be_noun_phrases():
    text = 'class A:\n    """A thing."""\n    @property\n    def f(self):\n        """The rows."""'
    assert not_verbs(text) == []
    assert not_verbs('def _f():\n    """The rows."""') == []
    assert not_verbs('def f():\n    """Return the rows."""') == []
