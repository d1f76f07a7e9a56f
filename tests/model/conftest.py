"""The profile for planted bugs: the models stop at the first example that fails."""

from __future__ import annotations

from hypothesis import Phase, settings

# Finding the shortest example takes minutes; some bugs show in one of hundreds of examples.
settings.register_profile("first-example", phases=[Phase.generate], max_examples=5000)
