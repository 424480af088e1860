"""How the rooms say how they are: logs (`log`), latency percentiles (`latency`), systemd (`sdnotify`).

Never knows what a reading or a device is.
"""
