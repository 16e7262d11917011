"""All benchmarks, one after the other."""

from benchmarks import emulator, parsing, people

people.main()
emulator.main()
parsing.main()
