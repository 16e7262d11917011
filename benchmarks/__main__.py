"""All benchmarks, one after the other."""

from benchmarks import people

people.main()
