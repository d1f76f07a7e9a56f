"""The soak: load and random faults for minutes; a reconciliation shows whether events were lost."""
