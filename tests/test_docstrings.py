"""Docstrings of all that is public: the shapes of arrays, and the errors of ours by name.

Read off the source, so that nothing has to be imported. Public is what has no leading underscore,
in modules, their classes and those classes' methods. What `__init__` and its kin raise is said by
them or by their class.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

REPOSITORY = Path(__file__).parents[1]
FILES = sorted(
    path
    for root in ("fpmc_bench", "plugins/fpmc_plugins")
    for path in (REPOSITORY / root).rglob("*.py")
)
ARRAYS = {"Tensor", "NDArray", "ndarray"}
SHAPE = re.compile(
    r"""\b(?:scalars?|any\ (?:one\ )?shapes?)\b
    | (?<![\w\]]) \[ (?=[^\]]*[A-Za-z.]) [\w\s,.*+/'-]+ \]""",
    re.VERBOSE | re.IGNORECASE,
)
"""[N,C,H,W] and its kin, letters or words for axes; sigmas[0] and [0, 1] are no shapes."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


def error_tree() -> dict[str, set[str]]:
    """Every exception of ours -> itself and the bases of it that are ours."""
    tree: dict[str, set[str]] = {}
    for node in ast.parse((REPOSITORY / "fpmc_bench/errors.py").read_text()).body:
        if isinstance(node, ast.ClassDef):
            bases = [tree.get(ast.unparse(base), set()) for base in node.bases]
            tree[node.name] = {node.name}.union(*bases)
    return tree


ERRORS = error_tree()


@dataclass(frozen=True)
class Public:
    """A public function, or method of the public class `owner`, where it stands."""

    path: Path
    module: ast.Module
    node: Function
    owner: ast.ClassDef | None = None

    @property
    def place(self) -> str:
        name = f"{self.owner.name}.{self.node.name}" if self.owner else self.node.name
        return f"{self.path.relative_to(REPOSITORY)}:{self.node.lineno} {name}"

    @property
    def text(self) -> str:
        return ast.get_docstring(self.node) or ""

    @property
    def is_obvious(self) -> bool:
        """A property that returns one expression, or what Python or a decorator documents."""
        decorators = {ast.unparse(one).partition("(")[0] for one in self.node.decorator_list}
        short = len(self.node.body) == 1
        return bool(
            self.node.name.startswith("__")
            or decorators & {"hookimpl", "overload"}
            or (decorators & {"property", "cached_property"} and short)
        )

    @property
    def is_command(self) -> bool:
        """Of the command line, where a docstring is the help that users see."""
        decorators = [ast.unparse(one).partition("(")[0] for one in self.node.decorator_list]
        return any(one.endswith((".command", ".group")) for one in decorators)

    def takes_arrays(self, arrays: set[str]) -> bool:
        """By its annotations, those in quotes among them."""
        inputs = self.node.args
        listed = [*inputs.posonlyargs, *inputs.args, *inputs.kwonlyargs]
        found = [one.annotation for one in (*listed, inputs.vararg) if one] + [self.node.returns]
        return any(names(one) & arrays for one in found if one)

    def raised(self) -> set[str]:
        """Errors of ours that it raises itself, or that the private helpers beside it raise."""
        beside = {node.name: node for node in self.module.body if isinstance(node, Function)}
        own = self.owner.body if self.owner else []
        beside |= {f"self.{node.name}": node for node in own if isinstance(node, Function)}
        found: set[str] = set()
        seen, waiting = set(), [self.node]
        while waiting:
            node = waiting.pop()
            seen.add(node.name)
            for name in raised_or_called(node):
                helper = beside.get(name)
                if name in ERRORS:
                    found.add(name)
                elif helper and helper.name.startswith("_") and helper.name not in seen:
                    waiting.append(helper)
                    found |= names(helper.returns) & set(ERRORS) if helper.returns else set()
        return found


def names(node: ast.AST) -> set[str]:
    """Every name in an expression, the text of quoted ones read as code."""
    found = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    found |= {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}
    quoted = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]
    return found.union(*(re.findall(r"\w+", text) for text in quoted if isinstance(text, str)))


def raised_or_called(node: ast.AST, caught: frozenset[str] = frozenset()) -> Iterator[str]:
    """Names of what is raised, less what is caught around it, and of what is called."""
    if isinstance(node, ast.Raise) and node.exc:
        exc = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        yield from {ast.unparse(exc)} - {name for name in ERRORS if ERRORS[name] & caught}
    if isinstance(node, ast.Call):
        yield from {ast.unparse(node.func)} - set(ERRORS)
    if isinstance(node, ast.Try):
        handled = set().union(*(names(one.type) for one in node.handlers if one.type))
        for inner in node.body:
            yield from raised_or_called(inner, caught | handled)
        rest: list[ast.AST] = [*node.handlers, *node.orelse, *node.finalbody]
    else:
        rest = list(ast.iter_child_nodes(node))
    for inner in rest:
        yield from raised_or_called(inner, caught)


def public_functions(path: Path, module: ast.Module) -> Iterator[Public]:
    for node in module.body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield Public(path, module, node)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for inner in node.body:
                if isinstance(inner, Function) and not re.match(r"_(?!_)", inner.name):
                    yield Public(path, module, inner, node)


MODULES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
CLASSES = {
    node.name: node
    for module in MODULES.values()
    for node in module.body
    if isinstance(node, ast.ClassDef)
}
FUNCTIONS = [one for path, module in MODULES.items() for one in public_functions(path, module)]


def array_names() -> set[str]:
    """Of array types, and of the package's aliases of containers of them."""
    aliases = {
        ast.unparse(node.targets[0])
        for module in MODULES.values()
        for node in module.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript)
        if ast.unparse(node.value.value) != "Callable" and names(node.value) & ARRAYS
    }
    return ARRAYS | aliases


def is_override(function: Public) -> bool:
    """Of a method that a base class in the package documents, there or in its own docstring."""
    waiting = [*function.owner.bases] if function.owner else []
    while waiting:
        base = waiting.pop()
        cls = CLASSES.get(ast.unparse(base).partition("[")[0].rpartition(".")[2])
        if cls is None:
            continue
        own = [node for node in cls.body if isinstance(node, Function)]
        if any(node.name == function.node.name and ast.get_docstring(node) for node in own):
            return True
        if re.search(rf"^ *{function.node.name}\(", ast.get_docstring(cls) or "", re.MULTILINE):
            return True
        waiting += cls.bases
    return False


def documented(functions: list[Public]) -> list[Public]:
    """Those that have to say what they do."""
    return [one for one in functions if not one.is_obvious and not is_override(one)]


def without_shape(functions: list[Public]) -> list[Public]:
    """Those that take or return arrays and say no shape, nor name a function that does."""
    arrays = array_names()
    say = {one.node.name for one in FUNCTIONS if SHAPE.search(one.text)}
    return [
        one
        for one in documented(functions)
        if one.takes_arrays(arrays) and not SHAPE.search(one.text)
        if not say & set(re.findall(r"`(?:\w+\.)*(\w+)`", one.text))
    ]


def without_error(functions: list[Public]) -> Iterator[tuple[Public, str]]:
    """Those that raise an error of ours which neither they nor their class name."""
    for one in functions:
        if is_override(one) or one.is_command:
            continue
        text = one.text + (ast.get_docstring(one.owner) or "" if one.owner else "")
        text = " ".join(text.split())
        for name in sorted(one.raised()):
            kin = (f"{base} and its kin" for base in ERRORS[name])
            if not re.search(rf"\b{name}\b", text) and not any(line in text for line in kin):
                yield one, name


def without_docstring() -> Iterator[str]:
    for path, module in MODULES.items():
        if ast.get_docstring(module) is None:
            yield f"{path.relative_to(REPOSITORY)}:1"
        for node in module.body:
            is_public = isinstance(node, ast.ClassDef) and not node.name.startswith("_")
            if is_public and ast.get_docstring(node) is None:
                yield f"{path.relative_to(REPOSITORY)}:{node.lineno} {node.name}"
    yield from (one.place for one in documented(FUNCTIONS) if not one.text)


def test_all_that_is_public_says_what_it_is() -> None:
    offenders = list(without_docstring())
    assert not offenders, "no docstring:\n" + "\n".join(offenders)


def test_what_takes_or_returns_arrays_says_their_shapes() -> None:
    offenders = [one.place for one in without_shape(FUNCTIONS)]
    assert not offenders, "no shape in the docstring:\n" + "\n".join(offenders)


def test_what_raises_an_error_of_ours_names_it() -> None:
    offenders = [f"{one.place}: {name}" for one, name in without_error(FUNCTIONS)]
    assert not offenders, "an error that the docstring does not name:\n" + "\n".join(offenders)


def test_an_offender_is_seen() -> None:
    module = ast.parse(
        dedent("""
        def bare(z: "Tensor") -> float: ...
        def vague(z: Tensor):
            'Of sigmas[0], in [0, 1].'
        def said(z: Tensor) -> Tensor:
            'z [B,C,H,W] -> [B]; InputError.'
            _check(z)
        def silent(z) -> int:
            'UsageError where it is odd.'
            _check(z)
        def kin(z) -> int:
            'UsageError and its kin.'
            _check(z)
        def catches(z) -> int:
            'None.'
            try:
                raise InputError
            except UsageError:
                pass
        def _check(z):
            raise InputError("no")
        """)
    )
    found = list(public_functions(REPOSITORY / "a.py", module))
    assert [one.node.name for one in documented(found) if not one.text] == ["bare"]
    assert [one.node.name for one in without_shape(found)] == ["bare", "vague"]
    assert [(one.node.name, error) for one, error in without_error(found)] == [
        ("silent", "InputError")
    ]
