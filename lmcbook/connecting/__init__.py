"""May two networks be averaged? Reading them, checking them, measuring their merge, and saying what to do."""
