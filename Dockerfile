# syntax=docker/dockerfile:1
# The server of lineament. `docker build -t lineament .`, then compose.yaml beside this file.

FROM python:3.12-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src ./src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim-bookworm AS install
COPY --from=build /wheels /wheels
RUN python -m venv /opt/lineament \
    && wheel="$(ls /wheels/lineament-*.whl)" \
    && /opt/lineament/bin/pip install --no-cache-dir "${wheel}[server,onnxruntime,milvus]"

FROM python:3.12-slim-bookworm
RUN useradd --system --uid 10001 --user-group --home-dir /data --no-create-home lineament \
    && install -d -o lineament -g lineament -m 0700 /data
COPY --from=install /opt/lineament /opt/lineament
ENV PATH=/opt/lineament/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LINEAMENT_SERVER_DATA=/data \
    LINEAMENT_SERVER_HOST=0.0.0.0 \
    LINEAMENT_SERVER_LOG=json
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/v1/ready', timeout=4)"]
ENTRYPOINT ["lineament"]
CMD ["serve", "--port", "8000"]
