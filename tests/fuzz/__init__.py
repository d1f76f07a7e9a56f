"""Coverage-guided fuzzing of whatever reads what strangers send: `python -m fuzz TARGET`.

A target is a function that takes bytes and raises when a promise is broken; `tests/hostile` runs
the same functions on their seeds and on bytes at random, without the fuzzer.
"""
