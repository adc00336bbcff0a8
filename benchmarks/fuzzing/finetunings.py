"""What was fine-tuned, and what is being."""

from functools import cache
from pathlib import Path
from typing import Any

from fpmc_bench import Source, load_dataset, load_teacher
from fpmc_bench.finetune.checkpoint import load_descent, save_descent
from fpmc_bench.finetune.descent import Descent
from fpmc_bench.finetune.problem import LevelProblem, validation_batch
from fpmc_bench.finetune.settings import FinetuneSettings
from fpmc_bench.finetune.weights import finished_level, joined
from fpmc_bench.finetune.weights_file import load_finetuned
from fpmc_bench.fpmc import FPMC, PixelOneHot
from fuzzing.digests import without_digest
from fuzzing.trials import Loader


@cache
def a_descent() -> Descent:
    digits = load_dataset("digits").train
    source = Source(digits.images[:30], scale=digits.scale)
    problem = LevelProblem(source, load_teacher("digits-ddpmpp"), 0.6, 0, "cpu")
    plan = FinetuneSettings(steps=4, batch=4, evaluate_every=2, validation_items=2)
    validation = validation_batch(problem, digits.values()[30:32], 0)
    base = FPMC(PixelOneHot(source.shape), PixelOneHot(source.shape))
    descent = Descent(problem, base, plan, validation, 2**28)
    descent.start()
    descent.advance()
    return descent


def new_descent() -> Descent:
    old = a_descent()
    descent = Descent(old.problem, old.base, old.settings, old.validation, old.budget_bytes)
    descent.start()
    return descent


def write_descent(folder: Path) -> list[Path]:
    save_descent(folder / "level.checkpoint", a_descent())
    return [folder / "level.checkpoint"]


def go_on_descending(path: Path) -> Any:
    descent = new_descent()
    if not load_descent(path, descent):
        return None
    descent.optimizer.step()
    return descent.finished, descent.best_error


def write_weights(folder: Path) -> list[Path]:
    descent = a_descent()
    card = {
        "base": "ls",
        "params": {},
        "dataset": "digits",
        "source": "0",
        "shape": tuple(descent.base.precision.shape),
        "teacher": "a",
        "teacher_fingerprint": "0",
        "plan": {},
    }
    levels = [finished_level(descent), finished_level(new_descent(), learned=False)]
    joined(card, levels).save(folder / "w.safetensors")
    (folder / "sealed.safetensors").write_bytes((folder / "w.safetensors").read_bytes())
    return [without_digest(folder / "w.safetensors"), folder / "sealed.safetensors"]


def read_weights(path: Path) -> Any:
    weights = load_finetuned(path)
    for level, card in enumerate(weights.card.levels):
        if card.learned:
            weights.model(level)
    return weights.card.stopped, weights.card.levels[0].best, weights.card.sigmas


LOADERS = (
    Loader("checkpoint of a fine-tuning", write_descent, go_on_descending),
    Loader("fine-tuned weights", write_weights, read_weights),
)
