"""The demo: five runs of three syncs, each compared with the expected result."""
