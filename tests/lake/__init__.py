"""The whole way of an event, from the topic to the data lake, and the commands that follow it."""
