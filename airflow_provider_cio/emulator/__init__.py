"""A strict, local Customer.io workspace over HTTP, for development, the demo and tests.

The emulator behaves like the documented service: the Track API (v1 and v2), the parts of the App API that a
sync needs, and the identity rules behind them. It needs neither Airflow nor the internet, and shares no code
with the clients that it checks. ``python -m airflow_provider_cio.emulator`` starts it from a shell, and
`airflow_provider_cio.emulator.process.EmulatorProcess` from Python.
"""
