"""The blind relay, and a party's way through it."""

__all__: list[str] = []
