#!/usr/bin/env bash
# Prepare the database before Airflow's services start. It runs at every start and can be repeated.
set -euo pipefail

airflow db migrate

# An existing administrator of this name keeps their password.
airflow users create \
    --role Admin \
    --username "${ADMIN_USERNAME}" \
    --password "${ADMIN_PASSWORD}" \
    --email "${ADMIN_EMAIL}" \
    --firstname Airflow \
    --lastname Administrator

# A task without its pool waits forever. A failure here does not stop Airflow, because the api-server creates the pools.
airflow customerio pools /opt/airflow/dags/syncs \
    || echo "The pools could not be created now. The api-server will create them when it runs." >&2
