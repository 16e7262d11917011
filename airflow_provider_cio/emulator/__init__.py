"""A strict, local Customer.io workspace over HTTP, for development, the demo and tests.

It answers like the documented service: the Track API (v1 and v2), the parts of the App API that a sync
needs, and the identity rules behind them. It needs neither Airflow nor the internet. Start it with
``python -m airflow_provider_cio.emulator``, or from Python with
:class:`airflow_provider_cio.emulator.process.EmulatorProcess`.
"""
