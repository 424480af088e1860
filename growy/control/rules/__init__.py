"""Rules: read, compiled, evaluated from memory, replayed. Never the database in the hot path."""
