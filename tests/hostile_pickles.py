"""Pickles that would do harm, or would crash a reader: none of them may."""

import struct
from typing import Any


class Calls:
    """Pickles as the call of `function`, with a state or items if given."""

    def __init__(self, function: Any, *arguments: Any, more: tuple[Any, ...] = ()) -> None:
        self.call = function, arguments, *more

    def __reduce__(self) -> Any:
        return self.call


TOUCH = b"\x8c\x0etouch executed\x85R"
RAW = {
    "os.system": b"\x80\x04cos\nsystem\n" + TOUCH + b".",
    "posix.system, named on the stack": b"\x80\x04\x8c\x05posix\x8c\x06system\x93" + TOUCH + b".",
    "a name with dots": b"\x80\x04\x8c\x05torch\x8c\x0bhub.os.popen\x93" + TOUCH + b".",
    "a known module's other name": b"\x80\x04ctorch._utils\nos.system\n" + TOUCH + b".",
    "name and module shifted": b"\x80\x04ctorch\n_utils._rebuild_tensor_v2.__globals__\n.",
    "a name that isn't text": b"\x80\x04K\x01K\x02\x93.",
    "protocol 0 instance": b"(S'touch executed'\nios\nsystem\n.",
    "object on a mark": b"\x80\x02(cos\nsystem\nX\x05\x00\x00\x00touchoo.",
    "extension registry": b"\x80\x02\x82\x01.",
    "persistent id": b"\x80\x020Pabc\n.",
    "a call of a call": b"\x80\x04ccollections\nOrderedDict\n)R)R.",
    "a call without arguments": b"\x80\x04ccollections\nOrderedDict\nR.",
    "state of a name": b"\x80\x04ccollections\nOrderedDict\n}b.",
    "items of a number": b"\x80\x04K\x01(K\x02K\x03u.",
    "elements of a dict": b"\x80\x04}(K\x02e.",
    "odd items": b"\x80\x04}(K\x02u.",
    "memo of nothing": b"\x80\x04h\x05.",
    "stack underflow": b"\x80\x04\x86.",
    "below the mark": b"\x80\x04K\x01(\x85.",
    "no mark": b"\x80\x04K\x01t.",
    "memoize nothing": b"\x80\x04\x94.",
    "nothing at the end": b"\x80\x04.",
    "bytes of 8 EiB": b"\x80\x04\x8e" + struct.pack("<Q", 2**63 - 1) + b"x.",
    "bytes beyond all": b"\x80\x04\x8e" + b"\xff" * 8 + b"x.",
    "text of 4 GiB": b"\x80\x04X\xff\xff\xff\xffabc.",
    "text not UTF-8": b"\x80\x04\x8c\x02\xff\xfe.",
    "a million digits": b"\x80\x04I" + b"9" * 1_000_000 + b"\n.",
    "long of 2 GiB": b"\x80\x04\x8b\xff\xff\xff\x7f1.",
    "protocol of the future": b"\x80\xff\xfe.",
    "key is a nested tuple": b"\x80\x04}" + b")" + b"\x85" * 300_000 + b"K\x01s.",
    "set of a list": b"\x80\x04\x8f(]\x90.",
    "nested 300000 deep": b"\x80\x04]" + b"\x85" * 300_000 + b".",
    "300000 marks": b"\x80\x04" + b"(" * 300_000 + b".",
    "list in itself": b"\x80\x04]\x94h\x00a.",
}  # fmt: skip
