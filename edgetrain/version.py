"""The version of this package, which every image carries."""

from importlib.metadata import version

VERSION = version("edgetrain")
