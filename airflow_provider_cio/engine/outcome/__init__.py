"""What became of the rows: counts, rejections, and changes that were accepted and not applied."""
