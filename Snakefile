# From plan to records. Receipts say that a job of the plan is done; the trained networks belong to the store, which no
# rule has as an output, so that Snakemake can never delete one. Notebooks and book have no rules here: what they are
# made from are contents (lmcbook.pages.keys), where Snakemake would look at the times of files, and one judge is enough.
# Started by `python -m lmcbook reproduce`, and only where a receipt is missing.
import sys

from lmcbook.lab import paths
from lmcbook.lab.receipts import receipt_path
from lmcbook.pages import workflow as reproduction  # in a Snakefile `workflow` is the name of something else

SCALE = config.get("scale", "embedded")
DEVICE = config.get("device", "auto")
CHOSEN = {what: [name for name in str(config.get(what, "")).split(",") if name] for what in ("recipes", "notebooks")}
JOBS = reproduction.jobs_of(SCALE, **{what: names or None for what, names in CHOSEN.items()})
OPTIONS = [word for what, names in CHOSEN.items() for name in names for word in (f"--{what[:-1]}", name)]
RUNS = str(paths.runs().absolute()).replace("{", "{{").replace("}", "}}")  # braces are wildcards


localrules: measurements


rule measurements:
    input:
        [receipt_path(SCALE, job) for job in JOBS],


rule job:
    output:
        f"{RUNS}/receipts/{SCALE}/{{job}}.json",
    priority:
        lambda wildcards: reproduction.priority(JOBS[wildcards.job])
    resources:
        gpu=0 if DEVICE == "cpu" else 1,
        mem_mb=8000,
        runtime=24 * 60,
    retries: 1
    log:
        f"{RUNS}/logs/job-{{job}}.log",
    shell:
        "{sys.executable:q} -m lmcbook job {wildcards.job:q} --scale {SCALE} --receipt {output:q} --device {DEVICE} {OPTIONS:q}"
        " > {log:q} 2>&1"
