"""The comparisons behind the project's choices: each module is one, and anyone can run it."""
