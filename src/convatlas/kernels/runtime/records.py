"""What the fields of a kernel's records may be beside whole numbers and float32."""

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

Double = Annotated[float, "float64"]  # a field that compiled code sees as float64


class PlanRows(NamedTuple):
    """Rows of plans (`layout/plan.py`): where they lie, how many, and how long they are."""

    address: int
    rows: int
    columns: int


if TYPE_CHECKING:
    PlanArray = Any
else:
    PlanArray = PlanRows  # what compiled code sees of them: an array
