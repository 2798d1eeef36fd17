"""EdgeTrain: quantised MLPs that infer and learn on the device, bit for bit as simulated.

`import edgetrain as et`: `et.compile`, `et.verify`, `et.bench`, `et.train`, `et.evaluate`,
`et.Simulator`, `et.InputError`.  What a function needs is imported when it is first used.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edgetrain.version import VERSION as __version__

if TYPE_CHECKING:
    from edgetrain.bench import bench
    from edgetrain.compiler.errors import InputError
    from edgetrain.detector import evaluate_recordings as evaluate
    from edgetrain.pipeline import Program
    from edgetrain.project import compile_project as compile
    from edgetrain.simulator import Simulator
    from edgetrain.train import train
    from edgetrain.verify import verify

__all__ = [
    "InputError",
    "Program",
    "Simulator",
    "__version__",
    "bench",
    "compile",
    "evaluate",
    "train",
    "verify",
]

_HOMES = {
    "InputError": ("edgetrain.compiler.errors", "InputError"),
    "Program": ("edgetrain.pipeline", "Program"),
    "Simulator": ("edgetrain.simulator", "Simulator"),
    "bench": ("edgetrain.bench", "bench"),
    "compile": ("edgetrain.project", "compile_project"),
    "evaluate": ("edgetrain.detector", "evaluate_recordings"),
    "train": ("edgetrain.train", "train"),
    "verify": ("edgetrain.verify", "verify"),
}


class _Package(ModuleType):
    """Keeps `edgetrain.verify` the function, also once the submodule of that name is imported."""

    def __getattr__(self, name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        module, attribute = _HOMES[name]
        value = getattr(importlib.import_module(module), attribute)
        setattr(self, name, value)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _HOMES or not isinstance(value, ModuleType):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})


sys.modules[__name__].__class__ = _Package
