"""Operations go out in batches, and verdicts come back."""
