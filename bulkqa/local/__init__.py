"""The ports on a laptop: a folder for blobs, SQLite for the label table and the task queue."""
