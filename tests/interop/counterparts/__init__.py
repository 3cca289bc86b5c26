"""Python counterparts for every role of the course protocol, with old habits and faults as switches."""
