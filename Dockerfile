# mbtransfer on a CPU, with a software renderer for films:
#   docker build -t mbtransfer .
#   docker run --rm -v "$PWD/runs:/runs" mbtransfer demo --quick --out /runs/demo
FROM python:3.12-slim

RUN apt-get update \
  && apt-get install --yes --no-install-recommends libosmesa6 \
  && rm -rf /var/lib/apt/lists/*

# PyTorch first and alone: the index has its build for CPUs, which is ten times smaller.
RUN pip install --no-cache-dir torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu

WORKDIR /src
COPY . .
RUN pip install --no-cache-dir '.[suite]' 'mujoco==3.11.*' \
  && pip install --no-cache-dir --no-deps 'dm-control==1.0.44' \
  && useradd --create-home robot

USER robot
WORKDIR /home/robot
ENV MUJOCO_GL=osmesa
ENTRYPOINT ["mbtransfer"]
CMD ["--help"]
