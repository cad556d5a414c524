"""The streaming transport and the event-socket library. Neither is in this version."""

__all__: list[str] = []
