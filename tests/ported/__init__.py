"""A project of Channels 1, ported by renaming."""
