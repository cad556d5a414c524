"""The gateway: who is there, who may call whom, who may use which relay, and until when."""

__all__: list[str] = []
