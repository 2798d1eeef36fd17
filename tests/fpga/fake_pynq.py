"""PYNQ's overlay, registers and DMA, with a Verilated circuit behind them."""

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


class Circuit:
    """The interfaces of the circuit, as its process drives them; also PYNQ's `Overlay`, whose
    blocks are `edgetrain` and `dma`."""

    def __init__(self, image: Path, s_bits: int, m_bits: int, stalls: int = 0) -> None:
        self.s_bytes, self.m_bytes = s_bits // 8, m_bits // 8
        self._process = subprocess.Popen(
            [str(image)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "ET_AXI": "1", "ET_STALLS": str(stalls)},
        )
        self.edgetrain = self
        self.dma = Dma(self)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer.endswith("\n"), "the circuit is gone"
        return answer

    def read(self, offset: int) -> int:
        return int(self.ask(f"r {offset:x}"), 16)

    def write(self, offset: int, value: int) -> None:
        assert 0 <= value < 2**32
        self.ask(f"w {offset:x} {value:x}")

    def begin(self, beats: list[int]) -> None:
        """Sends a part of a frame."""
        self.ask("p " + " ".join(f"{beat:x}" for beat in beats))


class Dma:
    """Simple transfers: a frame goes out when it is given, and its answer is there at once."""

    def __init__(self, circuit: Circuit) -> None:
        self._circuit = circuit
        self._waiting: Bytes | None = None
        self.sendchannel = self.recvchannel = self

    def transfer(self, buffer: Bytes) -> None:
        if self._waiting is None:
            self._waiting = buffer
            return
        content, size = buffer.tobytes(), self._circuit.s_bytes
        beats = [content[at : at + size] for at in range(0, len(content), size)]
        texts = [f"{int.from_bytes(beat, 'little'):x}" for beat in beats]
        answer = self._circuit.ask("f " + " ".join(texts)).split()
        size = self._circuit.m_bytes
        received = b"".join(int(beat, 16).to_bytes(size, "little") for beat in answer)
        assert len(received) == len(self._waiting), "a transfer of another length"
        self._waiting[:] = np.frombuffer(received, np.uint8)
        self._waiting = None

    def wait(self) -> None:
        assert self._waiting is None or len(self._waiting)


def allocate(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    return np.zeros(shape, dtype)
