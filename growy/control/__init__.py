"""Control: who wants what of an actuator, whether it may be so, and making it so. Never leaves a heater on."""
