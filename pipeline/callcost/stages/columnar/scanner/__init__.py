"""The scanner: blocks of lines to columns in one walk, as WebAssembly, where the extra ``fast`` is installed.

In: a block of lines, and the type that a dialect's lines are decoded into. Out: the columns that decoding them gives,
and the numbers of the lines that it is not sure of, which are decoded as ever.
Open columns.py first. scanner.c is what runs; ``python -m tests.stages.scanner.build`` makes scanner.wasm of it.
"""
