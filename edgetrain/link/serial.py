"""A board at a serial port."""

from edgetrain.compiler.errors import InputError


class SerialTransport:
    """A port that pyserial can open, at eight data bits, no parity and one stop bit."""

    name = "serial"

    def __init__(self, port: str, baud: int, timeout: float) -> None:
        """Opens the port; `timeout` seconds is how long an answer may take."""
        import serial

        self.timeout = timeout
        self._error = serial.SerialException
        try:
            self._port = serial.serial_for_url(port, baudrate=baud, exclusive=True)
        except (serial.SerialException, ValueError) as error:
            raise InputError(f"cannot open the port: {error}", where=port) from None
        self._port.reset_input_buffer()

    def send(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except self._error as error:
            raise InputError(f"the port is gone: {error}", where=self.name) from None

    def receive(self, timeout: float) -> bytes:
        try:
            self._port.timeout = timeout
            data: bytes = self._port.read(1)
            return data + self._port.read(self._port.in_waiting) if data else data
        except (self._error, OSError) as error:
            raise InputError(f"the port is gone: {error}", where=self.name) from None

    def instructions(self, ticks: int) -> int | None:
        """A real core's counter counts cycles."""
        return None

    def close(self) -> None:
        self._port.close()
