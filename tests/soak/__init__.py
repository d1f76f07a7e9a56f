"""Load and faults at random, for minutes, with a ledger that says whether anything was lost."""
