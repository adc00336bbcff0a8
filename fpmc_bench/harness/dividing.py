"""Whether the processes of a run hold the source together: where they are told to, or have to."""

import json
from collections.abc import Sequence

import torch

from fpmc_bench.engine.machine.placement import has_room, room_bytes
from fpmc_bench.harness.cluster.agreement import refuse_unlike
from fpmc_bench.harness.cluster.processes import Processes
from fpmc_bench.harness.cluster.shards import Shards
from fpmc_bench.harness.plan import Plan
from fpmc_bench.images.notices import notice

Room = tuple[str, int]
"""The id of a process's GPU and the bytes that are free there; "" on a processor."""


def dividing(plan: Plan, processes: Processes, asked: bool) -> Shards | None:
    """With whom this process holds parts of the source; None where each has all of it.

    Without being `asked` they do so where no GPU of theirs has room for it but each for a part; a
    line says that. RunError where not all processes are asked the same.
    """
    if processes.world == 1:
        return None
    refuse_unlike(processes, {"--shard-source": asked})
    if not asked:
        size = largest_bytes(plan)
        rooms = [tuple(json.loads(text)) for text in processes.gather(json.dumps(_room(processes)))]
        if not must_divide(size, rooms):
            return None
        notice(
            f"the largest source takes {size >> 20} MiB, for which not every GPU has room: each of "
            f"{processes.world} processes holds a part, and all compute every row together, as "
            f"with --shard-source"
        )
    return Shards(processes.rank, processes.world, processes.reduced, processes.gather)


def largest_bytes(plan: Plan) -> int:
    """Of the images of an entry's source, those among them that are yet to be made."""
    added = [sum(one.rate for one in entry.source.added) for entry in plan.contestants]
    return int(plan.context.dataset.train.nbytes * (1 + max(added, default=0)))


def must_divide(size: int, rooms: Sequence[Room]) -> bool:
    """Whether a source of so many bytes has no room in some process's GPU, but a part in each.

    Processes that share a GPU would hold all of it there.
    """
    gpus, free = {gpu for gpu, _ in rooms}, [room for _, room in rooms]
    if "" in gpus or len(gpus) < len(rooms) or all(has_room(size, room) for room in free):
        return False
    return all(has_room(-(-size // len(rooms)), room) for room in free)


def _room(processes: Processes) -> Room:
    if not processes.device.startswith("cuda"):
        return "", 0
    device = torch.device(processes.device)
    return str(torch.cuda.get_device_properties(device).uuid), room_bytes(device)
