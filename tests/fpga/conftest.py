"""A project whose simulation is built once."""

from pathlib import Path

import pytest

from edgetrain.fpga import rtlsim
from edgetrain.pipeline import Program
from tests.fpga import stub
from tests.fpga.support import write_circuit
from tests.support import needs_tool


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hand-written circuit, simulated."""
    needs_tool("verilator")
    program = stub.program()
    directory = tmp_path_factory.mktemp("stub")
    write_circuit(program, stub.hardware(program), directory)
    rtlsim.build_rtlsim(program, directory, directory / "rtlsim")
    return directory


@pytest.fixture
def program() -> Program:
    return stub.program()
