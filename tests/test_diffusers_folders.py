"""Which diffusers folders are read, and as what; their fingerprint is of the function alone."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pipelines import SIDE_PX, change, diffusers, save_pipeline, teacher_of
from torch import Tensor

from fpmc_bench import load_teacher
from fpmc_bench.errors import CheckpointError, InputError, UsageError
from fpmc_bench.teachers.diffusers import DiffusersTeacher

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pipeline(tmp_path_factory.mktemp("pipelines") / "plain")


def answer(teacher: DiffusersTeacher, sigma: float = 0.7) -> Tensor:
    z = torch.linspace(-1, 1, 2 * SIDE_PX**2).reshape(2, 1, SIDE_PX, SIDE_PX)
    with torch.no_grad():
        return teacher(z, sigma)


def flat(plain: Path, folder: Path) -> None:
    """As google/ddpm-cifar10-32 lies: everything beside model_index.json."""
    folder.mkdir()
    for part in ("unet", "scheduler", "."):
        for path in (plain / part).iterdir():
            if path.is_file():
                shutil.copy(path, folder)


def variant(plain: Path, folder: Path) -> None:
    shutil.copytree(plain, folder)
    unet = folder / "unet"
    (unet / WEIGHTS).rename(unet / "diffusion_pytorch_model.fp16.safetensors")


def flat_variant(plain: Path, folder: Path) -> None:
    flat(plain, folder)
    (folder / WEIGHTS).rename(folder / "diffusion_pytorch_model.fp16.safetensors")


def shards(plain: Path, folder: Path) -> None:
    save_pipeline(folder, saved={"max_shard_size": "20KB"})
    assert len(list((folder / "unet").glob("*.safetensors"))) > 2


def sharded_variant(plain: Path, folder: Path) -> None:
    save_pipeline(folder, saved={"max_shard_size": "20KB", "variant": "fp16"})


def saved_again(plain: Path, folder: Path) -> None:
    """Whose files know the folder that they were read from."""
    diffusers.DDPMPipeline.from_pretrained(plain).save_pretrained(folder)
    assert "_name_or_path" in (folder / "unet" / "config.json").read_text()


def other_version(plain: Path, folder: Path) -> None:
    """With a size as a list, and without what is as diffusers has it anyway."""
    shutil.copytree(plain, folder)
    config = folder / "unet" / "config.json"
    change(config, _diffusers_version="0.0.4", sample_size=[SIDE_PX, SIDE_PX])
    content = json.loads(config.read_text())
    del content["class_embed_type"], content["attn_norm_num_groups"]
    config.write_text(json.dumps(content))


def other_sampler(plain: Path, folder: Path) -> None:
    save_pipeline(folder, scheduler="DDIMScheduler", dropout=0.5)


@pytest.mark.parametrize(
    "layout",
    [
        flat,
        variant,
        flat_variant,
        shards,
        sharded_variant,
        saved_again,
        other_version,
        other_sampler,
    ],
)
def test_one_network_is_one_teacher_however_it_lies(
    layout: Callable[[Path, Path], None],
    plain: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    layout(plain, tmp_path / "other")
    capfd.readouterr()
    teacher = teacher_of(tmp_path / "other")
    assert torch.allclose(answer(teacher), answer(teacher_of(plain)), atol=1e-6)
    assert teacher.fingerprint == teacher_of(plain).fingerprint
    assert "%|" not in capfd.readouterr().err, "no bar of diffusers' own"


def test_half_precision_weights_answer_in_float32(plain: Path, tmp_path: Path) -> None:
    pipeline = diffusers.DDPMPipeline.from_pretrained(plain)
    pipeline.unet.half()
    pipeline.save_pretrained(tmp_path / "half", variant="fp16")
    rounded = diffusers.DDPMPipeline.from_pretrained(plain)
    rounded.unet.half().float()
    rounded.save_pretrained(tmp_path / "rounded")
    half, full = teacher_of(tmp_path / "half"), teacher_of(tmp_path / "rounded")
    assert torch.allclose(answer(half), answer(full), atol=1e-6)
    assert half.fingerprint == full.fingerprint
    assert half.fingerprint != teacher_of(plain).fingerprint, "it was rounded"


def test_what_changes_the_function_changes_the_fingerprint(plain: Path, tmp_path: Path) -> None:
    betas = [0.001 * (1 + step) for step in range(100)]
    changed = [
        save_pipeline(tmp_path / "a", "sample"),
        save_pipeline(tmp_path / "b", schedule="scaled_linear"),
        save_pipeline(tmp_path / "c", steps={"beta_end": 0.03}),
        save_pipeline(tmp_path / "d", steps={"trained_betas": betas}),
        save_pipeline(tmp_path / "e", steps={"rescale_betas_zero_snr": True}),
        save_pipeline(tmp_path / "f", norm_eps=1e-4),
        save_pipeline(tmp_path / "g", flip_sin_to_cos=False),
        save_pipeline(tmp_path / "h", sample_size=16),
    ]
    pipeline = diffusers.DDPMPipeline.from_pretrained(plain)
    pipeline.unet.conv_in.bias.data[0] += 1e-3
    pipeline.save_pretrained(tmp_path / "i")
    folders = [plain, *changed, tmp_path / "i"]
    assert len({teacher_of(folder).fingerprint for folder in folders}) == len(folders)


def test_plain_weights_come_before_a_variant(plain: Path, tmp_path: Path) -> None:
    folder = tmp_path / "both"
    shutil.copytree(plain, folder)
    (folder / "unet" / "diffusion_pytorch_model.fp16.safetensors").write_bytes(b"damaged")
    assert teacher_of(folder).fingerprint == teacher_of(plain).fingerprint
    (folder / "unet" / WEIGHTS).rename(folder / "unet" / "diffusion_pytorch_model.ema.safetensors")
    with pytest.raises(CheckpointError, match="in the variants ema, fp16 and none plain; keep one"):
        load_teacher(folder)


def latent(folder: Path) -> None:
    """As CompVis/ldm-celebahq-256: the index names what turns codes into pixels."""
    index = {"_class_name": "LDMPipeline", "vqvae": ["diffusers", "VQModel"]}
    change(folder / "model_index.json", **index)


def latent_on_disk(folder: Path) -> None:
    (folder / "vae").mkdir()


def text(folder: Path) -> None:
    parts = {"text_encoder": ["transformers", "CLIPTextModel"]}
    change(folder / "model_index.json", _class_name="Mine", **parts)


def another_part(folder: Path) -> None:
    change(folder / "model_index.json", mel=["diffusers", "Mel"], absent=[None, None])


def transformer(folder: Path) -> None:
    change(folder / "model_index.json", unet=["diffusers", "DiTTransformer2DModel"])


def super_resolution(folder: Path) -> None:
    change(folder / "unet" / "config.json", in_channels=2)


def scheduler_of(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        change(folder / "model_index.json", scheduler=["diffusers", name])

    spoil.__name__ = name
    return spoil


def no_size(folder: Path) -> None:
    change(folder / "unet" / "config.json", sample_size=None)


def other_weights(folder: Path) -> None:
    change(folder / "unet" / "config.json", layers_per_block=2)


def shards_elsewhere(folder: Path) -> None:
    index = {"metadata": {}, "weight_map": {"conv_in.weight": "../other.safetensors"}}
    (folder / "unet" / f"{WEIGHTS}.index.json").write_text(json.dumps(index))


def shards_of_pickles(folder: Path) -> None:
    index = {"metadata": {}, "weight_map": {"conv_in.weight": "diffusion_pytorch_model.bin"}}
    (folder / "unet" / f"{WEIGHTS}.index.json").write_text(json.dumps(index))


def falling_noise(folder: Path) -> None:
    change(folder / "scheduler" / "scheduler_config.json", trained_betas=[0.1, -0.1, 0.1])


def all_noise(folder: Path) -> None:
    change(folder / "scheduler" / "scheduler_config.json", trained_betas=[1.0, 1.0])


REFUSED = {
    latent: "is a LDMPipeline with a vqvae beside its unet: its network denoises codes, not pixels",
    latent_on_disk: "is a DDPMPipeline with a vae beside its unet: its network denoises codes",
    text: "is a Mine with a text_encoder beside its unet: its network denoises images to a text",
    another_part: "is a DDPMPipeline with mel; expected a pipeline of a unet and a scheduler alone",
    transformer: "holds a DiTTransformer2DModel; expected an unconditional UNet2DModel",
    super_resolution: "takes images of 2 channels and returns 1; .* super-resolution",
    scheduler_of(
        "PNDMScheduler"
    ): "has the scheduler PNDMScheduler, .* expected a DDPMScheduler or DDIM",
    scheduler_of(
        "EulerDiscreteScheduler"
    ): "has the scheduler EulerDiscreteScheduler, which does not say",
    scheduler_of("EDMEulerScheduler"): "has the scheduler EDMEulerScheduler, which does not say",
    scheduler_of(
        "ScoreSdeVeScheduler"
    ): "has the scheduler ScoreSdeVeScheduler, which does not say",
    no_size: "does not say the size of its images: in_channels is 1, sample_size None",
    other_weights: r"weights are not those of its config.json \(missing_keys: ",
    shards_elsewhere: r"names '\.\./other\.safetensors' as a file of weights",
    shards_of_pickles: r"names 'diffusion_pytorch_model\.bin' as a file of weights",
    falling_noise: "of its scheduler, its noise levels don't ascend with time",
    all_noise: "of its scheduler, its noise levels don't ascend with time",
}


@pytest.mark.parametrize("spoil", REFUSED, ids=lambda spoil: spoil.__name__)
def test_other_folders_are_refused_by_name(
    spoil: Callable[[Path], None], plain: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "net"
    shutil.copytree(plain, folder)
    spoil(folder)
    with pytest.raises(CheckpointError, match=REFUSED[spoil]):
        load_teacher(folder)


def test_times_without_a_noise_level_are_nobodys(tmp_path: Path) -> None:
    """The last of a zero-SNR schedule is all noise, the first of this one has none."""
    zero_snr = save_pipeline(tmp_path / "a", steps={"rescale_betas_zero_snr": True})
    noise = teacher_of(zero_snr).noise
    assert (noise.times[0], noise.times[-1]) == (0, 998)
    assert noise.at(80.0) < 998 < noise.at(noise.largest) + 1e-6
    betas = [0.0, *(0.002 * step for step in range(1, 100))]
    first_zero = teacher_of(save_pipeline(tmp_path / "b", steps={"trained_betas": betas}))
    assert (first_zero.noise.times[0], first_zero.noise.at(1e-4)) == (1, 1)
    assert bool(answer(first_zero, 1e-4).isfinite().all())


def test_beyond_the_last_noise_level_there_is_no_answer(tmp_path: Path) -> None:
    teacher = teacher_of(save_pipeline(tmp_path / "short", steps={"num_train_timesteps": 10}))
    assert bool(answer(teacher, teacher.noise.largest).isfinite().all())
    with pytest.raises(InputError, match=r"was trained up to sigma 0\.3264, .* no answer at 80"):
        answer(teacher, 80.0)


def test_a_class_is_chosen(tmp_path: Path) -> None:
    folder = save_pipeline(tmp_path / "cond", num_class_embeds=3)
    with pytest.raises(UsageError, match="conditioned on 3 classes; say which one to ask"):
        load_teacher(folder)
    teachers = [load_teacher(f"{folder}[label={label}]") for label in (0, 1, 2, "mean")]
    assert len({teacher.fingerprint for teacher in teachers}) == 4
    assert teachers[3].name == "cond_label-mean"
    *answers, mean = (answer(teacher) for teacher in teachers)  # type: ignore[arg-type]
    assert float((answers[0] - answers[1]).abs().max()) > 1e-4
    assert torch.allclose(mean, torch.stack(answers).mean(0), atol=1e-6)
    unet = diffusers.UNet2DModel.from_pretrained(folder / "unet")
    steps = diffusers.DDPMScheduler.from_pretrained(folder / "scheduler")
    kept = steps.alphas_cumprod[500]
    x_t = torch.linspace(-1, 1, SIDE_PX**2).reshape(1, 1, SIDE_PX, SIDE_PX)
    with torch.no_grad():
        output = unet(x_t, 500, torch.tensor([1])).sample
        found = teachers[1](x_t / kept**0.5, float(((1 - kept) / kept) ** 0.5))
    expected = steps.step(output, 500, x_t).pred_original_sample
    assert torch.allclose(found, expected, atol=1e-4)
