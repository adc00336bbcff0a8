"""TOML as the editors and shells of all systems write it: suites, studies, the configuration."""

from pathlib import Path

import pytest
from runs import SMALL_SUITE, fpmc_bench

from fpmc_bench import load_suite
from fpmc_bench.catalog.finding import load_study
from fpmc_bench.catalog.places import Places
from fpmc_bench.errors import SuiteError, UsageError
from fpmc_bench.storage.toml_file import toml_content

TEXT = SMALL_SUITE.replace('name = "small"', 'name = "small"\ndescription = "Prüfung ±"', 1)
STUDY = 'name = "mine"\nview = "table"\nwith_entries = true\ndescription = "Prüfung ±"\n'


def write(folder: Path, content: bytes, name: str = "my.toml") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_utf8_is_read_with_a_mark_and_with_any_line_ends(
    tmp_path: Path, mark: bytes, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written(text: str) -> Path:
        return write(tmp_path, mark + text.replace("\n", ending).encode())

    assert load_suite(written(TEXT)).description == "Prüfung ±"
    assert load_study(written(STUDY)).description == "Prüfung ±"
    monkeypatch.setenv("FPMC_BENCH_CONFIG", str(written('[data]\ncifar10 = "/ü/c.tar.gz"\n')))
    assert Places().find("data", "cifar10") == "/ü/c.tar.gz"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"\xff\xfe" + TEXT.encode("utf-16-le"), "is UTF-16.*save it as UTF-8"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "is UTF-16.*save it as UTF-8"),
        (TEXT.encode("utf-16-le"), "is UTF-16.*or no text"),
        (TEXT.encode("cp1252"), r"not UTF-8.*byte 0xfc in line 4\): save it as UTF-8"),
        (b"x = " + b"[" * 10_000, "nested too deep"),
    ],
)
def test_what_is_no_utf8_says_what_it_is(
    tmp_path: Path, content: bytes, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, content)
    for load in (load_suite, load_study):
        with pytest.raises(SuiteError, match=complaint):
            load(path)
    monkeypatch.setenv("FPMC_BENCH_CONFIG", str(path))
    with pytest.raises(UsageError, match=complaint):
        Places().find("data", "cifar10")


@pytest.mark.parametrize(
    "line",
    [r'"C:\Users\me\data\c.tar.gz"', r'"C:\data\c.tar.gz"', r'"C:\new\table.tar.gz"', r'"C:\x1"'],
)
def test_backslashes_are_explained(
    tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where TOML has nothing against them, but makes other characters of them."""
    path = write(tmp_path, f"[data]\ncifar10 = {line}\n".encode())
    monkeypatch.setenv("FPMC_BENCH_CONFIG", str(path))
    with pytest.raises(UsageError, match=r"my\.toml .*write a path with / or .*single quotes"):
        Places().find("data", "cifar10")


def test_backslashes_in_single_quotes_are_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, b"[data]\ncifar10 = 'C:\\Users\\me\\c.tar.gz'\n")
    monkeypatch.setenv("FPMC_BENCH_CONFIG", str(path))
    assert Places().find("data", "cifar10") == str(path.parent / r"C:\Users\me\c.tar.gz")


def test_other_faults_get_no_such_hint(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not valid TOML: .*line 2") as refused:
        toml_content(write(tmp_path, b"x = 'C:\\Users'\ny = \n"), "suite")
    assert "backslash" not in str(refused.value)


@pytest.mark.parametrize("command", [("run",), ("tune",), ("bench",), ("finetune",)])
def test_a_folder_is_no_suite(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "mine.toml").mkdir()
    for name in ("./mine.toml", f"{tmp_path}/"):
        done = fpmc_bench(*command, name, cwd=tmp_path)
        assert done.returncode == 2
        assert "is a folder, not a suite; give the path of a .toml file" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_folder_is_no_study(tmp_path: Path) -> None:
    done = fpmc_bench("study", "./", cwd=tmp_path)
    assert done.returncode == 2
    assert "is a folder, not a study" in done.stderr


def test_a_name_that_no_file_can_have() -> None:
    for name in ("a\0b.toml", "x" * 5000 + ".toml"):
        with pytest.raises(SuiteError, match="can't be read"):
            load_suite(name)


def test_a_path_object_is_a_file_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, TEXT.encode(), "digits")
    monkeypatch.chdir(tmp_path)
    assert load_suite(Path("digits")).name == "small"
    assert load_suite("digits").name == "digits"


def test_paths_in_a_suite_start_at_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the command is called; names, absolute paths and functions stay what they are."""
    entry = '[[entries]]\nname = "{0}"\ndenoiser = "finetuned"\nparams = {{ weights = "{1}" }}\n'
    text = TEXT.replace('"digits-ddpmpp"', '"nets/mine.safetensors"')
    text = text.replace('"digits-ncsnpp"', '"mynet:denoise"')
    for name, weights in (("a", "../w/a.safetensors"), ("b", "named"), ("c", "/abs/c.safetensors")):
        text += entry.format(name, weights)
    (tmp_path / "suites").mkdir()
    write(tmp_path / "suites", text.encode())
    monkeypatch.chdir(tmp_path)
    suite = load_suite("suites/my.toml")
    assert suite.teachers.tuning == "suites/nets/mine.safetensors"
    assert suite.teachers.evaluation == "mynet:denoise"
    weights = [one.params["weights"] for one in suite.entries if one.denoiser == "finetuned"]
    assert weights == ["suites/../w/a.safetensors", "named", "/abs/c.safetensors"]
    done = fpmc_bench("run", "suites/my.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "there is nothing at suites/nets/mine.safetensors" in done.stderr


def test_backslashes_in_paths_of_a_suite_are_explained(tmp_path: Path) -> None:
    text = TEXT.replace('"digits-ddpmpp"', r'"C:\nets\teacher.pkl"')
    with pytest.raises(UsageError, match=r"has the path 'C:\\nets\\teacher.pkl': in TOML"):
        load_suite(write(tmp_path, text.encode()))


def test_paths_in_a_study_start_at_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = "[[rows]]\nname = \"{0}\"\nbase = '{1}'\n"
    text = STUDY + row.format("a", 'finetuned[weights="w/a.safetensors"]') + row.format("b", "ls")
    text += row.format("c", 'an-entry[weights="w/c.safetensors"]')
    (tmp_path / "studies").mkdir()
    write(tmp_path / "studies", text.encode())
    monkeypatch.chdir(tmp_path)
    assert [one.base for one in load_study("studies/my.toml").rows] == [
        'finetuned[weights="studies/w/a.safetensors"]',
        "ls",
        'an-entry[weights="studies/w/c.safetensors"]',
    ]
