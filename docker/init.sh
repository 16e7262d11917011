#!/usr/bin/env bash
# What has to be there before Airflow's services start. Runs at every start, and changes nothing that is there already.
set -euo pipefail

airflow db migrate

# An administrator of this name who exists keeps the password they have.
airflow users create \
    --role Admin \
    --username "${ADMIN_USERNAME}" \
    --password "${ADMIN_PASSWORD}" \
    --email "${ADMIN_EMAIL}" \
    --firstname Airflow \
    --lastname Administrator

# Without its pool a task waits for ever. No reason to keep Airflow down, though: the api-server creates missing pools.
airflow customerio pools /opt/airflow/dags/syncs \
    || echo "The pools could not be created now; the api-server will do it once it runs." >&2
