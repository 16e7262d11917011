"""All benchmarks, one after the other."""

from benchmarks import emulator, parsing, people, reading

people.main()
emulator.main()
parsing.main()
reading.main()
