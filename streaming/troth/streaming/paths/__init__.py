"""Ways between two parties: addresses, checks, and the choice among them."""

__all__: list[str] = []
