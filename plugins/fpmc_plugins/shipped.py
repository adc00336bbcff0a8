"""The files of weights that come with fpmc_bench, each known by the sha256 of its bytes."""

import hashlib
from pathlib import Path

from fpmc_bench.contracts import CheckpointError

SHA256 = {
    "digits-ddpmpp": "182e80dd4d9c49cf044cb20b43426f66f3818f9f8f8bb2b6f0c0ef5c9b349dd4",
    "digits-ncsnpp": "d6180b12abc7e39d7874487a6b87e410893da230bbd37ad39480e088715ff0c5",
    "photos-ddpmpp": "6bd26394b4af0170ac5377b946b4c45f8201e38955b947062ee4e8aac9312c33",
    "photos-ncsnpp": "7af8894ce245088371c1411fe888057b0959ae23c641640fb33c5005578105e0",
    "digits-pspc-flex": "60e5f5bb442a7c1d768a142ea9ab6e8999d8846b14d8ed6aaaaa73a0a1b61f65",
    "digits-windows": "67937620b9c4e7e2a4a686614b36fbe62c8497c314666f5fe3fdca1e669996ea",
    "photos-pspc-flex": "075db1314e7ee01a5b2a56f5e0cca2d689fcaae6c99dfef353638a2b651532b8",
    "photos-windows": "36120fbd3ad0dbe0c4d2064789bfb0ce87c70fff452ad23998e8c00c149a2b14",
}


def shipped_file(path: Path) -> Path:
    """The path of a file that ships, once its content is found to be what was shipped.

    CheckpointError for a file that is missing or damaged.
    """
    try:
        whole = hashlib.sha256(path.read_bytes()).hexdigest() == SHA256.get(path.stem)
        problem = "is not the file that ships with fpmc-bench"
    except OSError as error:
        whole, problem = False, f"can't be read ({error.strerror})"
    if not whole:
        raise CheckpointError(f"{path} {problem}: the installation is damaged, install it again")
    return path
