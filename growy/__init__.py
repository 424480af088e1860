"""growyd: a daemon for the Raspberry Pi that runs grow rooms and greenhouses."""

__version__ = "0.1.0"
