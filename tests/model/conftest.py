"""How the models are run on a planted bug: the first example that shows it is enough."""

from __future__ import annotations

from hypothesis import Phase, settings

# To find the shortest takes minutes, and is for those who mend.
settings.register_profile("first-example", phases=[Phase.generate])
