"""Malformed and malicious model files, each one edit away from a sound model.

`hostile_models()` gives (name, bytes, expected).  Expected is "refuse" (an input error), "accept"
(nothing but names and texts is odd), or "either" (no harm may come of it).
"""

import gzip
from collections.abc import Callable
from typing import Literal

import onnx

from tests.oracles.hostile_cases import EITHER, REFUSED, REFUSED_QDQ
from tests.oracles.hostile_edits import Edit, sound_model, sound_qdq

Expected = Literal["refuse", "accept", "either"]

C_INJECTION = (
    'x; } int main(void) { return system("id"); } /* " \\ %s %n */ #include "/etc/passwd"\n#'
)
HOSTILE_NAMES = {
    "c injection": C_INJECTION,
    "path traversal": "../../../../etc/passwd\x00/dev/null",
    "line breaks": "a\nb\r\nc\u2028d\x85e",
    "terminal escapes": "\x1b[2J\x1b]0;title\x07\x9b31m",
    "unicode": "вес\u202egnol\u0301\U0001f4a9",
    "one megabyte": "n" * 2**20,
    "C keywords": "int",
    "blanks": "  ",
}


def rename_all(name: str) -> Edit:
    """Put `name` into every name of tensors and nodes, and every text."""

    def edit(model: onnx.ModelProto) -> None:
        graph = model.graph
        long = len(name) > 1000  # once is enough for the long one

        def renamed(old: str) -> str:
            return old and (name if long and old == "first.weight" else old if long else name + old)

        for t in graph.initializer:
            t.name = renamed(t.name)
        for value in [*graph.input, *graph.output]:
            value.name = renamed(value.name)
        for n in graph.node:
            n.input[:] = [renamed(i) for i in n.input]
            n.output[:] = [renamed(o) for o in n.output]
            n.name, n.doc_string = name, name
        graph.name, graph.doc_string, model.producer_name, model.doc_string = [name] * 4
        model.metadata_props.add(key=name, value=name)

    return edit


def edited(base: Callable[[], onnx.ModelProto], edit: Edit) -> bytes:
    model = base()
    edit(model)
    return bytes(model.SerializeToString())


def not_models() -> list[tuple[str, bytes]]:
    """Bytes that are no ONNX file at all, or less than one."""
    whole = sound_model().SerializeToString()
    cases = [(f"truncated to {part}/8", whole[: len(whole) * part // 8]) for part in range(1, 8)]
    return [
        ("empty file", b""),
        ("text", b"this is not a model\n" * 50),
        ("zeros", bytes(4096)),
        ("ones", b"\xff" * 4096),
        ("ELF", b"\x7fELF\x02\x01\x01" + bytes(57)),
        ("gzip of a model", gzip.compress(whole, mtime=0)),
        ("a graph alone", sound_model().graph.SerializeToString()),
        ("a tensor alone", sound_model().graph.initializer[0].SerializeToString()),
        ("truncated by one byte", whole[:-1]),
        ("group nesting bomb", b"\x3b" * 100_000),
        *cases,
    ]


def hostile_models() -> list[tuple[str, bytes, Expected]]:
    """Every case: its name, the bytes of the file, and what import must do."""
    cases: list[tuple[str, bytes, Expected]] = []
    cases += [(name, data, "refuse") for name, data in not_models()]
    cases += [(name, edited(sound_model, edit), "refuse") for name, edit in REFUSED.items()]
    cases += [(name, edited(sound_qdq, edit), "refuse") for name, edit in REFUSED_QDQ.items()]
    cases += [(name, edited(sound_model, edit), "either") for name, edit in EITHER.items()]
    for name, text in HOSTILE_NAMES.items():
        cases.append((f"named {name}", edited(sound_model, rename_all(text)), "accept"))
    return cases
