"""The one error that a user's input may cause."""


class InputError(Exception):
    """Bad input or a missing part of the environment; the command line exits with 2.

    `what` is wrong, `where` it is (file, node, field), and the `remedy`.  `str(error)` is one line.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what = what
        self.where = where
        self.remedy = remedy
        super().__init__(what, where, remedy)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        if self.remedy:
            text = f"{text}; {self.remedy}"
        # Names from a hostile file may hold line breaks or terminal escapes.
        return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
