"""Reading a pickle as data: a stack machine that builds containers and never calls anything.

A pickle is a program. Python's own machine imports the names in it and calls them, which is how
a file runs code. This one knows a name only as text: what the program would call becomes a Node
that holds the name and the arguments. A name outside the reader's list, or an instruction that no
pickle of tensors or arrays needs, is a CheckpointError. It knows what Python 2 writes by protocol
2 and Python 3 by protocols 2 to 4: PEP 307, PEP 3154, pickletools.
"""

import pickletools
import struct
from collections.abc import Callable, Collection
from typing import IO, Any

from fpmc_bench.errors import CheckpointError
from fpmc_bench.storage.pickled import SHOWN, Name, Node, Persistent, shown, text_of

MOST_INSTRUCTIONS = 2_000_000
"""Of a published network; none has a quarter. Time and memory follow it, 200 bytes for a set."""
LONGEST_KEY = 1000
"""Of a dict or set, in characters: every use of a key may read all of it."""

PLAIN = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE",
    "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BINSTRING", "SHORT_BINSTRING",
}  # fmt: skip
"""Instructions that push their argument; a string of Python 2 is text with a code point a byte."""
CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
# dicts and sets are what these are, so they become that: no key is lost, no method is called
SETS = {"builtins.set", "__builtin__.set"}
DICTS = {"collections.OrderedDict", "dnnlib.util.EasyDict", "dnnlib.EasyDict"}


def read_pickle(
    stream: IO[bytes],
    known: Collection[str],
    origin: str,
    kind: str,
    most_instructions: int = MOST_INSTRUCTIONS,
) -> Any:
    """The value of the pickle that starts here, made of containers, numbers, text and Nodes.

    `stream` must clip a read that is longer than what is left (a BytesIO or an mmap does), and is
    left after the pickle. `known` are the names it may mention; `origin` says in errors where it
    comes from, `kind` what is expected there, as "file of CIFAR-10". Keys of dicts and sets are
    text, whether they were written as text or bytes. No length that the pickle states is believed
    before its bytes are there. Raises CheckpointError for a truncated or malformed pickle, for one
    of more than `most_instructions`, and naming any other name or instruction.
    """
    machine = _Machine(known, origin, kind)
    try:
        for count, (opcode, argument, position) in enumerate(pickletools.genops(stream)):
            if count >= most_instructions:
                raise CheckpointError(
                    f"{origin} has more than {most_instructions} instructions, which no {kind} "
                    f"has; it is damaged or hostile"
                )
            machine.step(opcode.name, argument, position or 0)
    # genops promises ValueError; the others are what its readers let through
    except (ValueError, OverflowError, struct.error, IndexError, KeyError) as error:
        raise CheckpointError(
            f"{origin} is not a whole pickle, it is truncated or damaged: "
            f"{str(error)[:SHOWN] or type(error).__name__}; fetch it again"
        ) from error
    return machine.result


class _Machine:
    """The stack, its marks and the memo. `step` raises IndexError or KeyError for what isn't."""

    def __init__(self, known: Collection[str], origin: str, kind: str) -> None:
        self.known, self.origin, self.kind = known, origin, kind
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.result: Any = None

    def step(self, opcode: str, argument: Any, position: int) -> None:
        if opcode in PLAIN:
            self.stack.append(argument)
        elif opcode in CONSTANTS:
            self.stack.append(CONSTANTS[opcode]())
        elif opcode in TUPLES:
            self.stack.append(self._take(TUPLES[opcode]))
        elif opcode in HANDLERS:
            HANDLERS[opcode](self, argument)
        else:
            raise CheckpointError(
                f"{self.origin} has instruction {opcode} at byte {position}, which no {self.kind} "
                f"needs; it was not executed"
            )

    def _take(self, count: int) -> tuple[Any, ...]:
        """The `count` topmost values, in order; never ones from below a mark."""
        start = len(self.stack) - count
        if start < (self.marks[-1] if self.marks else 0):
            raise IndexError("an instruction has too few operands")
        taken = tuple(self.stack[start:])
        del self.stack[start:]
        return taken

    def _to_mark(self) -> list[Any]:
        start = self.marks.pop()
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def _fail(self, problem: str) -> CheckpointError:
        return CheckpointError(f"{self.origin} is damaged or hostile: {problem}; nothing was run")

    def _do_proto(self, _: Any) -> None: ...

    def _do_frame(self, _: Any) -> None: ...

    def _do_mark(self, _: Any) -> None:
        self.marks.append(len(self.stack))

    def _do_stop(self, _: Any) -> None:
        (self.result,) = self._take(1)

    def _do_pop(self, _: Any) -> None:
        self._take(1)

    def _do_pop_mark(self, _: Any) -> None:
        self._to_mark()

    def _do_tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._to_mark()))

    def _do_memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _do_binput(self, slot: int) -> None:
        self.memo[slot] = self.stack[-1]

    _do_long_binput = _do_binput

    def _do_binget(self, slot: int) -> None:
        self.stack.append(self.memo[slot])

    _do_long_binget = _do_binget

    def _do_binpersid(self, _: Any) -> None:
        self.stack.append(Persistent(*self._take(1)))

    def _do_appends(self, _: Any) -> None:
        self._extend(self._to_mark(), list)

    def _do_append(self, _: Any) -> None:
        self._extend(self._take(1), list)

    def _do_additems(self, _: Any) -> None:
        self._extend(self._to_mark(), set)

    def _extend(self, values: Collection[Any], kind: Any) -> None:
        target: Any = self.stack[-1]
        if type(target) is not kind:
            raise self._fail(f"it adds elements to a {type(target).__name__}")
        if kind is set:
            target.update(self._key(value) for value in values)
        else:
            target.extend(values)

    def _do_setitem(self, _: Any) -> None:
        self._set(self._take(2))

    def _do_setitems(self, _: Any) -> None:
        self._set(self._to_mark())

    def _set(self, flat: Collection[Any]) -> None:
        target, values = self.stack[-1], list(flat)
        if isinstance(target, Node):
            target = target.items
        if type(target) is not dict or len(values) % 2:
            raise self._fail(f"it sets items of a {type(target).__name__}")
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[self._key(key)] = value

    def _key(self, key: Any) -> str:
        # only text has a secret hash: numbers could be chosen to collide, so that a dict of them
        # takes forever, and a deeply nested tuple would overflow the C stack as it is hashed
        text = text_of(key[: LONGEST_KEY + 1] if isinstance(key, bytes) else key)
        if text is None:
            raise self._fail(f"a {type(key).__name__} is used as a key")
        if len(text) > LONGEST_KEY:
            raise self._fail(f"a key has more than {LONGEST_KEY} characters")
        return text

    def _do_global(self, argument: str) -> None:
        self._name(*argument.split(" ", 1))

    def _do_stack_global(self, _: Any) -> None:
        module, name = self._take(2)
        if not (isinstance(module, str) and isinstance(name, str)):
            raise self._fail("a name to import is not text")
        self._name(module, name)

    def _name(self, module: str, name: str) -> None:
        text = f"{module}.{name}"
        if text not in self.known:
            raise CheckpointError(
                f"{self.origin} asks to import {shown(text)}, which no {self.kind} does; nothing "
                f"was imported or run"
            )
        self.stack.append(Name(text))

    def _do_reduce(self, _: Any) -> None:
        callee, args = self._take(2)
        if not (isinstance(callee, Name) and isinstance(args, tuple)):
            raise self._fail("it calls something that is not a name")
        if callee.text in DICTS and not args:
            self.stack.append({})
        elif callee.text in SETS and len(args) == 1 and isinstance(args[0], list):
            self.stack.append({self._key(value) for value in args[0]})
        else:
            self.stack.append(Node(callee.text, args))

    _do_newobj = _do_reduce

    def _do_build(self, _: Any) -> None:
        (state,) = self._take(1)
        if not isinstance(self.stack[-1], Node):
            raise self._fail(f"it sets the state of a {type(self.stack[-1]).__name__}")
        self.stack[-1].state = state


HANDLERS: dict[str, Callable[[_Machine, Any], None]] = {
    name.removeprefix("_do_").upper(): handler
    for name, handler in vars(_Machine).items()
    if name.startswith("_do_")
}
"""What the other instructions do, by name."""
