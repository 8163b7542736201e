"""One fixture file: seeded inputs, parameters and results."""

import json
import pathlib
import zlib

import torch
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).resolve().parent
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class Case:
    """One fixture: a seed that follows from its name, its parameters and its tensors."""

    def __init__(self, operation: str, name: str, **parameters):
        self.path = FOLDER / operation / f"{name}.safetensors"
        self.parameters = parameters
        self.tensors: dict[str, torch.Tensor] = {}
        self.generator = torch.Generator().manual_seed(zlib.crc32(f"{operation}/{name}".encode()))

    def normals(self, name: str, shape: list[int], factor: float = 1.0) -> torch.Tensor:
        """Draws an input, stores it in the case's type, and returns the stored values in float64."""
        values = factor * torch.randn(shape, generator=self.generator, dtype=torch.float64)
        self.tensors[name] = values.to(DTYPES[self.parameters["dtype"]])
        return self.tensors[name].double()

    def integers(self, low: int, high: int, shape: list[int]) -> torch.Tensor:
        return torch.randint(low, high, shape, generator=self.generator)

    def save(self) -> None:
        self.path.parent.mkdir(exist_ok=True)
        tensors = {name: tensor.contiguous() for name, tensor in self.tensors.items()}
        save_file(tensors, self.path, metadata={"case": json.dumps(self.parameters, sort_keys=True)})
