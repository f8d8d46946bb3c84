"""The HTML report: what a run came to, on one self-contained page."""
