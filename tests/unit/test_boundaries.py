"""What the parts may know of each other."""

import subprocess
import sys


def test_the_engine_imports_no_airflow() -> None:
    """The engine and the clients are usable from a plain Python script."""
    program = (
        "import sys; from airflow_provider_cio import engine, specs, track;"
        "sys.exit(any(name.partition('.')[0] == 'airflow' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
