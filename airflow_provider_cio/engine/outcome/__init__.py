"""The outcome of a run: counts, rejections, and changes that were accepted and not applied."""
