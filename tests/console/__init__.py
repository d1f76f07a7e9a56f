"""The console's page in a browser, on the running pipeline."""
