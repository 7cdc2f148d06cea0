# One image for every part of the platform: API, Airflow, MLflow, and the jobs that prepare them.
FROM python:3.11-slim-bookworm

# LightGBM and scikit-learn compute with OpenMP.
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/alerting
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 \
    MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=1 \
    MPLCONFIGDIR=/tmp/matplotlib NUMBA_CACHE_DIR=/var/lib/alerting/numba

# The dependencies change less often than the code: a layer of their own, in the pinned versions, compiled to bytecode.
COPY pyproject.toml config/constraints.txt config/docker/dependencies.py /tmp/build/
RUN python /tmp/build/dependencies.py /tmp/build/pyproject.toml postgres celery mqtt amqp opcua mysql sftp assistant > /tmp/build/requirements.txt \
 && pip install --constraint /tmp/build/constraints.txt --requirement /tmp/build/requirements.txt "setuptools>=77" \
 && rm -rf /tmp/build

COPY pyproject.toml README.md ./
COPY alerting alerting
COPY dags dags
COPY docs docs
COPY config config
RUN pip install --no-deps --no-build-isolation --editable . \
 && python -c "from pathlib import Path; from alerting.adapters.airflow.dag_files import write_dag_files; write_dag_files(Path('/opt/alerting/image'))" \
 && python -m compileall -q alerting dags config image \
 && mkdir bin && for name in alerting airflow mlflow; do ln -s ../config/docker/with-settings.sh "bin/$name"; done \
 && useradd --uid 10001 --create-home alerting \
 && install -d -o alerting -g alerting /var/lib/alerting /var/lib/airflow /var/lib/airflow/logs /var/lib/mlflow

USER alerting
ENV ALERTING_HOME=/var/lib/alerting AIRFLOW_HOME=/var/lib/airflow PATH=/opt/alerting/bin:$PATH
ENTRYPOINT ["/opt/alerting/config/docker/entrypoint.sh"]
CMD ["alerting", "--help"]
