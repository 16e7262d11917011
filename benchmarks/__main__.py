"""All benchmarks, one after the other."""

from benchmarks import emulator, people

people.main()
emulator.main()
