"""Accounts: people, their sessions, and the keys of devices and scripts."""
