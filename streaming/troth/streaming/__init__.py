"""The machine's edges: so far the event-socket library."""

__all__: list[str] = []
