"""The link server in C, as a process, against damaged, repeated and senseless input."""

import random
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetrain.board import load_board
from edgetrain.compiler.errors import InputError
from edgetrain.link import Link, open_link
from edgetrain.link.codec import Frame, decode, encode
from edgetrain.link.transport import ProcessTransport
from tests.link.firmware import TABLE, build_stub


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_stub(load_board("host"), tmp_path_factory.mktemp("host")).image


@pytest.fixture
def link(image: Path) -> Iterator[Link]:
    with open_link(load_board("host"), image) as opened:
        yield opened


class NoisyTransport(ProcessTransport):
    """Damages, cuts and repeats what passes, in both directions."""

    timeout = 0.05

    def __init__(self, image: Path, seed: int, rate: float) -> None:
        super().__init__("noisy", [str(image)])
        self._rng = random.Random(seed)
        self._rate = rate

    def _spoil(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            fate = self._rng.random() / self._rate
            if fate < 1:
                out.append(self._rng.randrange(256))
            elif fate >= 2:
                out.append(byte)
        return bytes(out)

    def send(self, data: bytes) -> None:
        super().send(self._spoil(data))

    def receive(self, timeout: float) -> bytes:
        data = super().receive(timeout)
        return self._spoil(data) or b"\0" if data else data


class DeafTransport(ProcessTransport):
    """Loses the first `lost` sendings, as a target does that has not yet started."""

    def __init__(self, image: Path, lost: int) -> None:
        super().__init__("deaf", [str(image)])
        self._lost = lost

    def send(self, data: bytes) -> None:
        self._lost -= 1
        if self._lost < 0:
            super().send(data)


def test_hello(link: Link) -> None:
    hello = link.hello()
    assert hello.version == "0.0-stub"
    assert hello.model_hash == bytes([1, 2, 3, 0, 5, *[0] * 26, 255])
    assert hello.entries == ((30, 8), (600, 600), (0, 0), (0, 0))
    assert hello.tensors == (4, 600)
    assert link.name == "host"


def test_runs_and_state(link: Link) -> None:
    link.hello()
    for i in range(3):
        result = link.run(0, bytes(range(i, i + 30)))
        assert result.status == 0
        assert struct.unpack("<ii", result.output) == (sum(range(i, i + 30)), i + 1)
    assert link.run(0, b"\xff" * 30).status == 1
    assert link.read_state(0) == b"\3\0\0\0"
    assert link.read_state(1) == TABLE
    link.write_state(1, TABLE[::-1])
    link.write_state(0, b"\x40\0\0\0")
    assert link.read_state(1) == TABLE[::-1]
    assert struct.unpack("<ii", link.run(0, bytes(30)).output) == (0, 0x41)
    link.reset()
    assert link.read_state(0) == bytes(4)
    assert link.read_state(1) == TABLE
    assert link.stack_bytes() is None


def test_long_frames_with_every_byte(link: Link) -> None:
    link.hello()
    rng = random.Random(2)
    for _ in range(20):
        data = bytes(rng.choice((0, 1, 255, rng.randrange(256))) for _ in range(600))
        assert link.run(1, data).output == data


def test_arguments_are_checked(link: Link) -> None:
    link.hello()
    for call in (
        lambda: link.run(0, bytes(29)),
        lambda: link.run(4, b""),
        lambda: link.read_state(2),
        lambda: link.write_state(0, bytes(3)),
    ):
        with pytest.raises(InputError):
            call()
    assert link.run(0, bytes(30)).status == 0


def test_requests_beyond_a_tensor_are_refused(image: Path) -> None:
    requests = [
        Frame(1, 0),
        Frame(2, 4, struct.pack("<HIH", 0, 0xFFFFFFFF, 4)),
        Frame(3, 4, struct.pack("<HIH", 0, 1, 4)),
        Frame(4, 5, struct.pack("<HI", 0, 0xFFFFFFFE) + bytes(4)),
        Frame(5, 5, struct.pack("<HI", 0, 4) + bytes(1)),
        Frame(6, 4, struct.pack("<HIH", 0, 0, 4)),
        Frame(7, 99),
    ]
    done = subprocess.run(
        [image], input=b"".join(map(encode, requests)), capture_output=True, check=True
    )
    answers = [decode(part) for part in done.stdout.split(b"\0")[:-1]]
    assert [answer.payload[0] for answer in answers] == [0, 3, 3, 3, 3, 0, 2]
    assert [answer.sequence for answer in answers] == [1, 2, 3, 4, 5, 6, 7]


def test_a_repeated_sequence_runs_once(image: Path) -> None:
    run = encode(Frame(9, 3, struct.pack("<H", 0) + bytes(30)))
    other = encode(Frame(10, 3, struct.pack("<H", 0) + bytes(30)))
    done = subprocess.run(
        [image], input=encode(Frame(8, 0)) + run * 3 + other, capture_output=True, check=True
    )
    answers = [decode(part).payload for part in done.stdout.split(b"\0")[1:-1][-4:]]
    calls = [struct.unpack("<i", payload[-4:])[0] for payload in answers]
    assert calls == [1, 1, 1, 2]


def test_exit_ends_the_server(image: Path) -> None:
    requests = encode(Frame(1, 0)) + encode(Frame(2, 8)) + encode(Frame(3, 0))
    done = subprocess.run([image], input=requests, capture_output=True, check=True)
    answers = [decode(part) for part in done.stdout.split(b"\0")[:-1]]
    assert [answer.command for answer in answers] == [0x80, 0x88]


@pytest.mark.parametrize("seed", range(4))
def test_a_noisy_line_loses_nothing_and_repeats_nothing(image: Path, seed: int) -> None:
    with Link(NoisyTransport(image, seed, rate=0.003)) as link:
        link.hello()
        for i in range(60):
            x = bytes((i * 7 + j) % 255 for j in range(30))
            result = link.run(0, x)
            if result.status == 0:
                assert struct.unpack("<i", result.output[:4]) == (sum(x),)
        refused = sum((i * 7) % 255 == 255 for i in range(60))
        assert link.read_state(0) == struct.pack("<i", 60 - refused)


def test_hello_is_repeated_long_before_a_line_counts_as_dead(image: Path) -> None:
    transport = DeafTransport(image, lost=2)
    waited = []
    receive = transport.receive

    def timed(timeout: float) -> bytes:
        waited.append(timeout)
        return receive(timeout)

    transport.receive = timed  # type: ignore[method-assign]
    with Link(transport) as link:
        assert link.hello().version == "0.0-stub"
    assert waited[:3] == [0.25, 0.5, 1.0]
    assert waited[-1] == transport.timeout


def test_a_dead_line_is_reported(image: Path) -> None:
    with (
        Link(NoisyTransport(image, 1, rate=1.0)) as link,
        pytest.raises(InputError, match="no valid"),
    ):
        link.hello()


def test_senseless_input_under_sanitizers(tmp_path: Path) -> None:
    sanitizers = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    built = build_stub(load_board("host"), tmp_path, "gcc", *sanitizers)
    rng = random.Random(3)
    frames = []
    for _ in range(3000):
        payload = rng.randbytes(rng.choice((0, 2, 6, 8, 32, 602, rng.randrange(1500))))
        if payload[:1] and rng.random() < 0.7:
            payload = bytes([rng.randrange(3), 0, *payload[2:]])[: len(payload)]
        frame = encode(Frame(rng.randrange(256), rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 77)), payload))
        if rng.random() < 0.3:
            at = rng.randrange(len(frame))
            frame = frame[:at] + rng.randbytes(rng.randrange(4)) + frame[at + rng.randrange(3) :]
        frames.append(frame)
    done = subprocess.run([built.image], input=b"".join(frames), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert len(done.stdout.split(b"\0")) > 2000
