"""Coverage-guided fuzzing of all code that reads untrusted input: `python -m tests.fuzz TARGET`.

A target is a function that takes bytes and raises when a promise is broken. `tests/hostile` runs
the same functions on their seeds and on random bytes, without the fuzzer.
"""
