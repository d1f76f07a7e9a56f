"""The promises as executable models: they hold in any order of events."""
