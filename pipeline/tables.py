"""What a table of a data file (catalogue, prices) is read by, and how its first fault is told."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError


class Data(BaseModel):
    """A table of a data file: what it does not know is a fault, and nothing changes once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def first_fault(error: ValidationError) -> str:
    """The first fault of a data file, as "field: what is wrong"."""
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
