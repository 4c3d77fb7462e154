# Lookout in a container, for 64-bit Arm and x86-64:
#
#   docker build -t lookout .
#   docker run --rm -p 127.0.0.1:8642:8642 -e LOOKOUT_SERVER__AUTH=none lookout demo          # to try it, on this machine only
#
# Permanently, with a camera, a read-only root and a token for visitors in ./token, which user 10001 must be able to read.
# It answers to its host name, to those in LOOKOUT_SERVER__ALLOWED_HOSTS, and to numeric addresses:
#
#   openssl rand -hex 32 > token
#   docker run -d --name lookout --hostname "$(hostname)" --restart unless-stopped --read-only --tmpfs /tmp --cap-drop all \
#     -p 8642:8642 -v lookout-state:/var/lib/lookout -v lookout-cache:/var/cache/lookout \
#     -v ./token:/run/secrets/lookout_token:ro -e LOOKOUT_SERVER__TOKEN_FILE=/run/secrets/lookout_token \
#     lookout serve --source rtsp://192.0.2.10/stream
#
# Cameras from inside a container:
#   RTSP, HTTP, demo   work as they are.
#   USB                --device /dev/video0 --group-add "$(getent group video | cut -d: -f3)", then --source usb:/dev/video0
#   ribbon cable       not supported. libcamera on a Pi belongs to the host's firmware and kernel and only comes with Raspberry
#                      Pi OS. Install Lookout on the host (systemd/install.sh), or let a bridge on the host turn the camera
#                      into an RTSP stream (such as MediaMTX with `source: rpiCamera`) and use its address as --source.

FROM python:3.13-slim-trixie AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY service service
COPY static static
COPY systemd systemd
COPY models models
# The environment is the same folder in both stages, because its scripts contain their path. The image needs neither pip
# nor the test data of libraries.
RUN python -m venv /opt/lookout \
    && /opt/lookout/bin/python -m pip install --no-cache-dir --disable-pip-version-check '.[integrations]' \
    && /opt/lookout/bin/python -m pip uninstall --yes --quiet pip \
    && find /opt/lookout/lib -type d \( -path '*/onnx/backend/test' -o -path '*/numpy/*/tests' \) -prune -exec rm -rf {} + \
    && mkdir -p /image/var/lib/lookout /image/var/cache/lookout \
    && chown -R 10001:10001 /image/var/lib/lookout /image/var/cache/lookout

FROM python:3.13-slim-trixie
LABEL org.opencontainers.image.title="Lookout" \
    org.opencontainers.image.description="Says what a camera sees: cat, dog or neither" \
    org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/lookout /opt/lookout
COPY --from=build /image/ /
ENV PATH=/opt/lookout/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    XDG_CACHE_HOME=/var/cache \
    LOOKOUT_STATE__FOLDER=/var/lib/lookout \
    LOOKOUT_SERVER__HOST=0.0.0.0
# A number, so that the host can see without opening the image that it is not root.
USER 10001:10001
EXPOSE 8642
# Healthy means that the event loop and the worker make progress. A missing camera is a state, not a failure.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-m", "lookout.healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["lookout"]
CMD ["serve"]
