# Made by scripts/manifests/generate.py.
# docker build -t databricks-responses-mcp .
# docker run --rm -i -e DATABRICKS_HOST -e DATABRICKS_TOKEN -v databricks-responses-mcp:/data databricks-responses-mcp
FROM python:3.13-slim-trixie AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY server server
# The environment gets no pip: the one outside fills it.
# Its versions are those that pyproject.toml allows.
# hadolint ignore=DL3013
RUN python -m venv --without-pip /opt/app && pip --python /opt/app install --no-cache-dir '.[postgres,telemetry]'

FROM python:3.13-slim-trixie
LABEL io.modelcontextprotocol.server.name="io.github.databricks-responses-mcp/databricks-responses-mcp" \
      org.opencontainers.image.title="Databricks models" \
      org.opencontainers.image.description="Ask the models of a Databricks workspace, and generate images, through the OpenAI Responses API." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.source="https://github.com/databricks-responses-mcp/databricks-responses-mcp" \
      org.opencontainers.image.licenses="MIT"
# Conversations and pictures; mount a volume there to keep them. The server can write nowhere else.
RUN useradd --no-create-home --home-dir /home/app --uid 10001 app \
    && install -d /home/app && install -d -o app -g app /data /data/pictures
COPY --from=build /opt/app /opt/app
ENV PATH=/opt/app/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    XDG_DATA_HOME=/data \
    RESPONSES_MCP_IMAGE_DIR=/data/pictures
USER 10001
WORKDIR /home/app
# Of `serve --http 0.0.0.0:8000`. Over stdio nothing listens there, and the check succeeds.
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-m", "databricks_responses_mcp.service.probe"]
ENTRYPOINT ["databricks-responses-mcp"]
