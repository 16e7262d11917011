"""Run all benchmarks."""

from benchmarks import emulator, parsing, people, reading

people.main()
emulator.main()
parsing.main()
reading.main()
