"""Run the emulator with ``python -m airflow_provider_cio.emulator``."""

from airflow_provider_cio.emulator.server import main

if __name__ == "__main__":
    main()
