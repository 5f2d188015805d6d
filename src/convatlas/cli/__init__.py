"""The command line, one file a verb: parse, call the library, print.

Here: options, tables, JSON and exit codes.
Not here: arithmetic; a number is the same in the terminal, on a page and in a notebook.
"""
