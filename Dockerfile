# guetzpy with its kernels compiled. Build: docker build -t guetzpy .
# Run, read-only and without a network, on the pictures of the working folder:
#   docker run --rm --read-only --network none --user "$(id -u):$(id -g)" -v "$PWD:/work" \
#     guetzpy optimize -r photos -o smaller
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE hatch_build.py ./
COPY guetzpy guetzpy
COPY docs/guetzpy.1 docs/guetzpy.1
RUN python -m venv /opt/guetzpy \
 && /opt/guetzpy/bin/pip install --no-cache-dir ".[heic,jxl,raw]"

FROM python:3.12-slim
COPY --from=build /opt/guetzpy /opt/guetzpy
# The package contains kernels for a processor that every x86-64 server of the last ten years has (AVX2). Others are compiled
# here, for the processor that is named, since the image is run on other machines than the one that builds it. For ARM:
# --build-arg NUMBA_CPU_NAME=generic. They belong to root, so that no user of the image can change them.
ENV PATH="/opt/guetzpy/bin:$PATH" NUMBA_CACHE_DIR=/opt/kernels PYTHONDONTWRITEBYTECODE=1
ARG NUMBA_CPU_NAME=x86-64-v3
ENV NUMBA_CPU_NAME=$NUMBA_CPU_NAME NUMBA_CPU_FEATURES=""
RUN mkdir /opt/kernels && guetzpy warmup && chmod -R a+rX,go-w /opt/kernels && useradd --uid 1000 --create-home guetzpy
USER 1000
# In place and with --resume guetzpy keeps its record here; a read-only root needs a volume or tmpfs for it.
ENV XDG_STATE_HOME=/tmp/state
WORKDIR /work
ENTRYPOINT ["guetzpy"]
CMD ["--help"]
