"""Count every registered network and write the index: `python -m convatlas.atlas.build`."""

from convatlas.atlas.counting import index_entry
from convatlas.atlas.index import INDEX, Indexed, write_index
from convatlas.models import find_entry, model_names


def count_registered() -> list[Indexed]:
    """Every network of the package at its published input; a user's own are left out."""
    entries = (find_entry(name) for name in model_names())
    return [index_entry(entry) for entry in entries if entry.task != "custom"]


def main() -> None:
    """Write the index and say so."""
    counted = count_registered()
    write_index(counted)
    print(f"{INDEX.name}: {len(counted)} networks")


if __name__ == "__main__":
    main()
