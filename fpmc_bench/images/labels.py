"""dataset.json of EDM's layout: the class of every image, by its name."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from posixpath import basename, dirname, join

from fpmc_bench.errors import InputError
from fpmc_bench.storage.notations import parsed_json
from fpmc_bench.storage.walking import tidy_name

LABELS_FILE = "dataset.json"


def labels_name(names: Sequence[str], path: Path) -> str | None:
    """Which of the files of `path` it is, in whatever folder; None where there is none.

    InputError where there are several.
    """
    found = [name for name in names if basename(name) == LABELS_FILE]
    if len(found) > 1:
        raise InputError(
            f"{path} holds {len(found)} files {LABELS_FILE}: {', '.join(found)}; expected one at "
            f"most, that of all images"
        )
    return found[0] if found else None


def read_labels(
    text: bytes, labels: str, images: Sequence[str], path: Path
) -> tuple[int, ...] | None:
    """The class of each of the `images` of `path`; None where the file has none.

    `text` is the file's, `labels` its name, to whose folder the names in it are relative:
    {"labels": [[name, class], ...]} or {"labels": null}. InputError for any other content, and for
    an image without a class or with two.
    """
    try:
        listed = parsed_json(text)["labels"]
        pairs = None if listed is None else [(_name(name), label) for name, label in listed]
    except (ValueError, TypeError, KeyError) as error:
        raise _other(path, labels, f"{type(error).__name__}: {error}") from error
    if pairs is None:
        return None
    classes: dict[str, int] = {}
    for name, label in pairs:
        if type(label) is not int:
            raise _other(path, labels, f"the class of {name} is no integer")
        if classes.setdefault(name, label) != label:
            raise InputError(f"{path}: {labels} has two labels for {name}; expected one")
    folder = dirname(labels)
    known = {join(folder, name): label for name, label in classes.items()}
    if missing := [name for name in images if name not in known]:
        raise InputError(f"{path}: {labels} has no label for {missing[0]}")
    return tuple(known[name] for name in images)


def label_counts(labels: tuple[int, ...]) -> dict[int, int]:
    """Images of each class, by class."""
    return dict(sorted(Counter(labels).items()))


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"{name!r:.40} is no name")
    return tidy_name(name)


def _other(path: Path, labels: str, reason: str) -> InputError:
    return InputError(
        f'{path}: {labels} must be {{"labels": [[name, class], ...]}} or {{"labels": null}} '
        f"({reason})"
    )
