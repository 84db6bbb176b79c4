"""The stand-ins for AWS that these tests use."""

from tests.emulators import dynalite, ministack, moto

__all__ = ["dynalite", "ministack", "moto"]
