"""Files of tensors without their digest, as an earlier fpmc-bench wrote them, and a forger may.

Of a file that has one, nearly all damage ends at the digest, and what comes after it stays untried.
"""

import json
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save

from fpmc_bench.storage.tensors import CARD_KEY, DIGEST_KEY


def without_digest(path: Path) -> Path:
    """The same file, in its place."""
    with safe_open(path, framework="pt") as file:
        card = json.loads(file.metadata()[CARD_KEY])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del card[DIGEST_KEY]
    path.write_bytes(save(tensors, {CARD_KEY: json.dumps(card)}))
    return path
