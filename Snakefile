# From plan to book. Receipts say that a job of the plan is done; the trained networks belong to the store, which no rule
# has as an output, so that Snakemake can never delete one. Started by `python -m lmcbook reproduce`.
import sys
from pathlib import Path

from lmcbook.lab import paths, plan
from lmcbook.pages import workflow as engine  # in a Snakefile `workflow` is the name of something else

SCALE = config.get("scale", "embedded")
DEVICE = config.get("device", "auto")
JOBS = plan.jobs(plan.pairs(SCALE))
NOTEBOOKS = sorted(path.stem for path in Path("notebooks").glob("*.ipynb"))
PACKAGE = sorted(map(str, Path("lmcbook").rglob("*.py")))
PAGES = sorted(str(path) for path in Path("book").rglob("*")
               if path.is_file() and not {"_build", "results", "__pycache__"} & set(path.parts))


localrules: book, measurements


rule book:
    input:
        expand("book/results/{notebook}.ipynb", notebook=NOTEBOOKS), PAGES, "CHANGELOG.md",
    output:
        "book/_build/html/index.html",
    log:
        f"{paths.runs()}/logs/book.log",
    shell:
        "{sys.executable} -m lmcbook book > {log} 2>&1"


rule measurements:
    input:
        [engine.receipt_path(SCALE, job) for job in JOBS],


rule notebook:
    input:
        lambda wildcards: engine.receipts_of(SCALE, wildcards.notebook),
        PACKAGE,
        source="notebooks/{notebook}.ipynb",
    output:
        "book/results/{notebook}.ipynb",
    log:
        f"{paths.runs()}/logs/{{notebook}}.log",
    shell:
        "{sys.executable} -m lmcbook notebook {wildcards.notebook} --scale {SCALE} --output {output} > {log} 2>&1"


rule job:
    output:
        f"{paths.runs()}/receipts/{SCALE}/{{job}}.json",
    priority:
        lambda wildcards: engine.priority(JOBS[wildcards.job])
    resources:
        gpu=0 if DEVICE == "cpu" else 1,
        mem_mb=8000,
        runtime=24 * 60,
    retries: 1
    log:
        f"{paths.runs()}/logs/job-{{job}}.log",
    shell:
        "{sys.executable} -m lmcbook job {wildcards.job} --scale {SCALE} --receipt {output} --device {DEVICE} > {log} 2>&1"
