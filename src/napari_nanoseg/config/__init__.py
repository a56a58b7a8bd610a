"""One frozen pydantic model per job and engine."""
