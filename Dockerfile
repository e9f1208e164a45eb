# docker build --target cpu  -t qwenserve:cpu .
# docker build --target cuda -t qwenserve:cuda .
#
# Both run as uid 1654 on a base without shell or package manager. What is written goes to /data: downloaded models and compiled kernels.

ARG DOTNET=10.0
ARG CUDA=12.9.1

FROM --platform=$BUILDPLATFORM mcr.microsoft.com/dotnet/sdk:${DOTNET}-noble AS build
ARG TARGETARCH
WORKDIR /source
COPY .editorconfig appsettings.json Directory.Build.props Directory.Packages.props global.json LICENSE ./
COPY src/ src/
RUN dotnet publish src/QwenServe -c Release -a "$TARGETARCH" --self-contained -p:PublishReadyToRun=true -p:DebugType=none -o /app \
 && cp LICENSE /app/ \
 && mkdir -p /data/huggingface /data/cubins

# cuBLASLt and NVRTC alone: the driver's libcuda.so.1 is the host's, put in by the container toolkit.
FROM nvidia/cuda:${CUDA}-runtime-ubuntu24.04 AS cuda-libraries
RUN mkdir /libraries \
 && cp -L /usr/local/cuda/lib64/libcublasLt.so.12 /usr/local/cuda/lib64/libnvrtc.so.12 /usr/local/cuda/lib64/libnvrtc-builtins.so.12.* /libraries/

FROM mcr.microsoft.com/dotnet/runtime-deps:${DOTNET}-noble-chiseled AS base
LABEL org.opencontainers.image.title="QwenServe" \
      org.opencontainers.image.description="OpenAI-compatible inference server for Qwen2 and Qwen2.5" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build --chown=1654:1654 /data /data
COPY --from=build /app /app
ENV QWENSERVE_HOST=0.0.0.0 \
    QWENSERVE_PORT=8000 \
    QWENSERVE_LOG_FORMAT=json \
    QWENSERVE_CUBIN_CACHE=/data/cubins \
    HF_HOME=/data/huggingface \
    DOTNET_EnableDiagnostics=0 \
    MALLOC_ARENA_MAX=2
WORKDIR /app
USER 1654
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# No shell here: the program asks its own /readyz. A model may take minutes to download.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30m --retries=3 CMD ["/app/qwenserve", "health"]
ENTRYPOINT ["/app/qwenserve"]

FROM base AS cuda
COPY --from=cuda-libraries /libraries /usr/local/cuda/lib64
ENV LD_LIBRARY_PATH=/usr/local/cuda/lib64 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    QWENSERVE_DEVICE=cuda

FROM base AS cpu
ENV QWENSERVE_DEVICE=cpu
