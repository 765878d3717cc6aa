"""The tests: a folder a room, `integration/` for what needs programs or sockets."""
