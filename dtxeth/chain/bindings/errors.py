"""Generated."""

__all__: list[str] = []
