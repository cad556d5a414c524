"""The machine's edges: so far the protocol core of the event-socket library."""

__all__: list[str] = []
