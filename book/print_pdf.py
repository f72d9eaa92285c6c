"""Prints the book's one-page build to book/_build/lmcbook.pdf with chromium; `make pdf` builds that page first."""

import functools
import http.server
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

BUILD = Path(__file__).resolve().parent / "_build"
MILLISECONDS_FOR_FORMULAS = 60_000


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line for each request."""

    def log_message(self, *arguments: object) -> None:
        pass


def main() -> None:
    """Serve the page on this machine's loopback and have chromium print it."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("chromium is not installed; on Debian: apt-get install chromium")
    site = BUILD / "singlehtml"
    page = site / "results" / "00_claim.html"
    if not page.is_file():
        sys.exit(f"{page} does not exist; build it first: jupyter-book build book --builder singlehtml")
    # Sphinx writes the one page where its first chapter lies, but with addresses that count from the top of the site
    shutil.copyfile(page, site / "book.html")
    handler = functools.partial(QuietHandler, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    target = BUILD / "lmcbook.pdf"
    with tempfile.TemporaryDirectory() as profile:
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
        command += [f"--virtual-time-budget={MILLISECONDS_FOR_FORMULAS}", "--no-pdf-header-footer"]
        command += [f"--print-to-pdf={target}", f"http://127.0.0.1:{server.server_port}/book.html"]
        done = subprocess.run(command, capture_output=True, text=True)
    server.shutdown()
    if done.returncode != 0 or not target.is_file():
        sys.exit(f"chromium could not print the book: {done.stderr[-500:]}")
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
