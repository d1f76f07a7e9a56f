"""The console's page in a browser, on the real running pipeline."""
