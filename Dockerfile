# Builds the book from the committed records and copies it to /site:
#
#     docker build -t lmcbook .
#     docker run --rm -v "$PWD/site:/site" lmcbook
#
# Everything else works in it too, for example: docker run --rm -it lmcbook make test
FROM python:3.11-slim-bookworm

RUN apt-get update \
    && apt-get install --yes --no-install-recommends chromium chromium-driver git make npm \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /lmcbook
# What decides the installation comes first, so that an edit of the text does not repeat it.
COPY pyproject.toml requirements.lock Makefile README.md LICENSE ./
COPY lmcbook/ lmcbook/
COPY book/vendor_js.py book/vendor_js.py
RUN make setup CPU=1

COPY . .
ENV PATH="/lmcbook/.venv/bin:$PATH"
CMD ["bash", "-c", "jupyter-book build book && mkdir -p /site && cp -r book/_build/html/. /site/"]
