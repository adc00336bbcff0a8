"""Memory that evaluations leave to one another, and nothing else of them."""

import threading

import torch

from fpmc_bench import Source
from fpmc_bench.engine import fpmc_denoise
from fpmc_bench.engine.machine.scratch import ALIGNMENT_BYTES, Scratch
from fpmc_bench.fpmc import FPMC
from fpmc_bench.fpmc.shapes import ImageShape
from fpmc_plugins.denoisers.ls import squares

CPU = torch.device("cpu")
SHAPE = ImageShape(1, 12, 12)


def test_arrays_lie_apart_and_aligned() -> None:
    scratch = Scratch(CPU, 3 * 4 + 5 * 8 + 7 * 4, 3)
    arrays = [
        scratch.take((3,)),
        scratch.take((5,), torch.float64),
        scratch.take((7, 1)),
    ]
    for value, array in enumerate(arrays):
        array.fill_(value)
    assert [float(array.mean()) for array in arrays] == [0, 1, 2]
    assert [array.data_ptr() % ALIGNMENT_BYTES for array in arrays] == [0, 0, 0]


def test_the_next_of_a_thread_has_the_same_memory() -> None:
    first = Scratch(CPU, 1 << 16, 1).take((4,)).data_ptr()
    assert Scratch(CPU, 1 << 15, 1).take((4,)).data_ptr() == first


def test_much_more_than_is_needed_is_given_back() -> None:
    Scratch(CPU, 1 << 22, 1)
    scratch = Scratch(CPU, 1 << 10, 1)
    assert scratch.take((1,)).untyped_storage().nbytes() < 1 << 12


def problem(seed: int) -> tuple[FPMC, Source, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (700, *SHAPE), dtype=torch.uint8, generator=generator)
    z = torch.rand(6, *SHAPE, generator=generator)
    box = squares(SHAPE, 5)
    return FPMC(box, box), Source(images), z


def test_a_result_outlives_the_next_evaluation() -> None:
    model, source, z = problem(0)
    found = fpmc_denoise(model, source, z, 0.5)
    before = found.clone()
    fpmc_denoise(model, *problem(1)[1:], 0.5)
    assert torch.equal(found, before)


def test_threads_do_not_meet() -> None:
    """Evaluations at the same time give what they give one after the other."""
    problems = [problem(seed) for seed in range(4)]
    expected = [fpmc_denoise(model, source, z, 0.5) for model, source, z in problems]
    found: dict[int, list[torch.Tensor]] = {}

    def work(index: int) -> None:
        model, source, z = problems[index]
        found[index] = [fpmc_denoise(model, source, z, 0.5) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, answers in found.items():
        for answer in answers:
            torch.testing.assert_close(answer, expected[index], atol=1e-6, rtol=0)
