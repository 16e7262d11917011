"""What a person reads about rejected rows: the CSV of a run, and the first of them in the task log."""
