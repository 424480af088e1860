"""The MQTT broker: the link to it, an embedded one, and what to ask of a Mosquitto. Knows no payload."""
