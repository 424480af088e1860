"""The test rig: real brokers and real daemons, as processes that can be killed."""
