"""Numbers of the symbols that every vocabulary begins with: data write them, networks read them."""

PADDING, END, UNKNOWN = 0, 1, 2  # fills a batch up; ends a text; stands for what is not known
FIRST_SYMBOL = 3  # of the vocabulary itself
