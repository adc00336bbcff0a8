"""A probe of an entry, with what it fits and with the images that are added to its source.

Whatever is fitted stays in the cache, and whole blocks of images that were made, too.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from fpmc_bench.catalog.built import BuiltDenoiser
from fpmc_bench.harness.forecast.probe import Probe, probed
from fpmc_bench.harness.plan import Contestant, Plan
from fpmc_bench.images.made import images_in
from fpmc_bench.storage.cache import looked_up
from fpmc_bench.teachers.sensitivity import KIND as MAPS

GROWTH = 4
"""From one number of images, that are made to see what that takes, to the next."""

Ask = Callable[[BuiltDenoiser, Probe], object]


def probed_entry(
    plan: Plan, contestant: Contestant, block_items: int, seconds: float, ask: Ask
) -> tuple[Probe, str]:
    """Calls of its denoiser, about `seconds` of them, and in words what of the cache it needs.

    A second time where something was fitted at first, which units won't wait for. `ask` is called
    with the denoiser and its first probe, unless images are lacking. Raises what plugins raise.
    """
    with looked_up() as seen:
        making = _make_images(contestant, seconds)
        source = contestant.over_plain_images() if making else contestant
        probe = _probed(plan, source, block_items, seconds, (lambda *_: None) if making else ask)
    if not all(seen.values()):
        probe = _probed(plan, source, block_items, seconds, lambda *_: None)
    used = _used(seen)
    if making:
        used += f"{', ' if seen else ''}images to be made"
        images = 1 + sum(added.rate for added in contestant.source.added)
        probe = probe.times(images)
        probe = replace(probe, building=probe.building + making)
    return probe, used


def _make_images(contestant: Contestant, seconds: float) -> float:
    """What augmentations add, where that is affordable; else the seconds that the rest takes.

    A few at first, then more; they stay in the cache, where whole blocks of them may be made.
    """
    context, lacking = contestant.source.context, 0.0
    for plugin, added in zip(contestant.source.plugins, contestant.source.added, strict=True):
        whole = max(1, round(added.rate * len(context.dataset.train)))
        asked, there, spent = 1, 0, 0.0
        while there < whole and spent < seconds:
            started = time.perf_counter()
            with looked_up() as seen:
                plugin.augment(context.augmentation_task(added.rate * asked / whole))
            spent += time.perf_counter() - started
            made = [images_in(path) for path in seen if path.suffix == ".npy"]
            there = max([asked, *made])
            asked = min(whole, GROWTH * there)
        lacking += spent / there * max(0, whole - there)
    return lacking


def _probed(
    plan: Plan, contestant: Contestant, block_items: int, seconds: float, ask: Ask
) -> Probe:
    started = time.perf_counter()
    built = plan.built(contestant)
    context = plan.context
    probe = probed(
        built,
        context.dataset.train,
        context.sigmas,
        block_items,
        context.device,
        seconds,
        building=time.perf_counter() - started,
    )
    ask(built, probe)
    return probe


def _used(seen: Mapping[Path, bool]) -> str:
    """What was looked for in the cache, by its folders: "spectrum", "2 synthetic (1 made now)".

    Sensitivity maps have a line of their own.
    """
    kinds = Counter(kind for path in seen if (kind := path.parent.name) != MAPS)
    made = Counter(path.parent.name for path, there in seen.items() if not there)
    said = []
    for kind, count in sorted(kinds.items()):
        number = f"{count} " if count > 1 else ""
        new = f" ({made[kind]} made now)" if 0 < made[kind] < count else ""
        said.append(f"{number}{kind}{' (made now)' if made[kind] == count else new}")
    return ", ".join(said)
