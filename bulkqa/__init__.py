"""bulkqa: bulk quality assurance of image labels. Importing it touches neither AWS nor the network."""

__version__ = "0.1.0"

SCHEMA = 1
"""Version of every file and result this release writes."""
