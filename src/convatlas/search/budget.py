"""What a network may cost, and the check of a candidate against it."""

from pydantic import BaseModel, ConfigDict, Field


class Budget(BaseModel):
    """Upper limits; one that is None does not bind.

    `params` and `macs` are counted, `latency_s` is measured on this machine (one image, median),
    `file_bytes` is the size of the exported ONNX file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    params: float | None = Field(default=None, gt=0)
    macs: float | None = Field(default=None, gt=0)
    latency_s: float | None = Field(default=None, gt=0)
    file_bytes: float | None = Field(default=None, gt=0)

    def excess(self, **costs: float | None) -> dict[str, float]:
        """How many times over the limit each of `costs` is; empty where all fit.

        A cost that is None is not known yet and cannot be over.
        """
        limits = self.model_dump()
        return {
            name: cost / limits[name]
            for name, cost in costs.items()
            if cost is not None and limits[name] is not None and cost > limits[name]
        }

    def is_open(self) -> bool:
        """Whether nothing at all is limited."""
        return not any(self.model_dump().values())
