"""Any torch function as a teacher: `module:function`, for users with a network of their own."""

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from fpmc_bench.engine.machine.tf32 import without_tf32
from fpmc_bench.errors import UnknownNameError, UsageError
from fpmc_bench.fpmc.sigmas import AnySigma, sigma_of


@dataclass(frozen=True, eq=False)
class FunctionTeacher:
    """(z [B,C,H,W], sigma) -> [B,C,H,W], as somebody's module defines it.

    The module is imported as `python -m` would find it: from the working directory, then from what
    is installed. An attribute `fingerprint` of the function (a string) says which weights it holds;
    without one, two versions of the same source count as the same teacher.
    """

    name: str
    function: Callable[[Tensor, float], Tensor]
    device: str

    @classmethod
    def named(cls, text: str, device: str) -> "FunctionTeacher":
        """Of "module:function".

        UsageError where the module can't be imported, UnknownNameError where it has no such
        function.
        """
        module_name, _, function_name = text.partition(":")
        if (here := str(Path.cwd())) not in sys.path:
            sys.path.insert(0, here)
        try:
            module = importlib.import_module(module_name)
        except Exception as error:  # whatever a stranger's module raises is only its own
            reason = f"{type(error).__name__}: {error}"
            raise UsageError(
                f"teacher '{text}': '{module_name}' can't be imported from here ({reason})"
            ) from error
        function = getattr(module, function_name, None)
        if not callable(function):
            known = [name for name, value in vars(module).items() if inspect.isfunction(value)]
            raise UnknownNameError(f"function of {module_name}:", function_name, known)
        return cls(text, function, device)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the module's source and what the function says of its weights."""
        digest = hashlib.sha256(self.name.encode())
        if source := inspect.getsourcefile(inspect.unwrap(self.function)):
            digest.update(Path(source).read_bytes())
        digest.update(str(getattr(self.function, "fingerprint", "")).encode())
        return digest.hexdigest()

    @without_tf32()
    def __call__(self, z: Tensor, sigma: AnySigma) -> Tensor:
        """D(z [B,C,H,W], sigma) [B,C,H,W], of z's type and device.

        Raises UsageError for an output that is no image like z in float32 or float64, or not
        finite; InputError for what is no sigma.
        """
        sigma = sigma_of(sigma)
        denoised = self.function(z.to(self.device), sigma)
        if not isinstance(denoised, Tensor) or denoised.shape != z.shape:
            kind = type(denoised).__name__
            found = list(denoised.shape) if isinstance(denoised, Tensor) else f"a {kind}"
            raise UsageError(
                f"teacher '{self.name}' returned {found} for z {list(z.shape)}; expected an image "
                f"for every image"
            )
        if denoised.dtype not in (torch.float32, torch.float64):
            raise UsageError(
                f"teacher '{self.name}' returned {denoised.dtype}; expected torch.float32, or "
                f"float64"
            )
        if not bool(denoised.detach().isfinite().all()):
            raise UsageError(
                f"teacher '{self.name}' returned NaN or infinite values at sigma {sigma:g}"
            )
        return denoised.to(z)
