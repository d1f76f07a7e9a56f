"""The tests of the functions, of the commands, and of what surrounds them."""
