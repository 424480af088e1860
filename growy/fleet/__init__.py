"""The ESP32s: known devices, answers to them. Never decides what an actuator does."""
