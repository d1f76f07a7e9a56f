"""How the models are run on a planted bug: until the first example that shows it."""

from __future__ import annotations

from hypothesis import Phase, settings

# To find the shortest takes minutes, and is for those who mend; some bugs show in one of hundreds.
settings.register_profile("first-example", phases=[Phase.generate], max_examples=5000)
