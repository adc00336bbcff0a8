"""One dialect for all that is read: strict, frozen, no unknown fields, every fault at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)
from pydantic_core import to_json

from fpmc_bench.documents.protocols import PROTOCOLS, protocol_facts
from fpmc_bench.documents.text import one_line
from fpmc_bench.errors import SuiteError, UnknownNameError, UsageError
from fpmc_bench.storage.toml_file import toml_content

NOT_FINITE = {"NaN", "Infinity", "-Infinity"}
"""As JSON, which has only finite numbers, has to say the others: as text."""


class Document(BaseModel):
    """A value that can be written down as JSON and read again.

    Numbers that are not finite become text; parameters of denoisers may be infinite.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class FiniteDocument(Document):
    """A document that a person writes: its own numbers are finite."""

    model_config = ConfigDict(allow_inf_nan=False)


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) and value in NOT_FINITE else value


def with_numbers(value: Any) -> Any:
    """Plain data as it was before it was JSON: text that stands for such a number is one again."""
    if isinstance(value, dict):
        return {name: with_numbers(one) for name, one in value.items()}
    return [with_numbers(one) for one in value] if isinstance(value, list) else _number(value)


AnyFloat = Annotated[float, BeforeValidator(_number)]
"""A float of a document, which may be infinite or not a number."""


def _known(name: str) -> str:
    try:
        return protocol_facts(name).name
    except UnknownNameError as error:
        raise ValueError(str(error)) from error  # as pydantic wants it


Protocol = Annotated[
    str, AfterValidator(_known), Field(json_schema_extra={"enum": list(PROTOCOLS)})
]
"""The name of a protocol."""

Model = TypeVar("Model", bound=Document)


def read_toml(model: type[Model], path: Path, what: str) -> Model:
    """The document in a TOML file; `what` it is, as "suite", for errors.

    SuiteError names the file, and every fault by its field.
    """
    try:
        content = toml_content(path, what)
    except UsageError as error:
        raise SuiteError(str(error)) from error
    return validated(model, content, str(path), what)


def validated(model: type[Model], content: Mapping[str, Any], origin: str, what: str) -> Model:
    """A document from plain data; SuiteError lists every fault at once."""
    try:
        # as JSON, where strictness means types and lists still stand for tuples
        return model.model_validate_json(to_json(content, inf_nan_mode="constants"), strict=True)
    except ValidationError as error:
        raise SuiteError(f"{origin} is not a valid {what}:\n{faults(error, what)}") from error


def faults(error: ValidationError, what: str) -> str:
    """Every fault of a document, a line each, by its field."""
    return "\n".join(
        "  " + one_line(f"{'.'.join(map(str, fault['loc'])) or what}: {fault['msg']}")
        for fault in error.errors()
    )


def first_fault(error: ValidationError, what: str) -> str:
    """The first fault alone, for an error of one line."""
    return faults(error, what).partition("\n")[0].strip()
