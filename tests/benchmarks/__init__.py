"""The tests of what measures: a wrong ruler is worse than none."""
