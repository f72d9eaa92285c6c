"""A private SLURM of one node on the loopback, with a GPU that is none: `python -m tests.slurm.loopback start FOLDER`.

Everything it needs and writes is in FOLDER, beside whatever SLURM there is. Its commands are those in FOLDER/bin, which
comes first on PATH: each sets SLURM_CONF, which Snakemake's plugin takes out of the environment of its jobs.
`python -m tests.slurm.loopback stop FOLDER` ends it, jobs included. Needs root and Debian's slurmctld, slurmd,
slurm-client and munge.
"""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = ("sbatch", "srun", "squeue", "scancel", "sinfo", "scontrol", "sacct")
SECONDS = 120
"""Until it must have started or ended, on a machine that has other things to do."""

CONFIGURATION = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
MinJobAge=3600
KillWait=2
MessageTimeout=60
TCPTimeout=30
BatchStartTimeout=120
GresTypes=gpu
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=64000 Gres=gpu:1 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

CGROUPS = """\
CgroupMountpoint=/sys/fs/cgroup
CgroupAutomount=no
ConstrainCores=no
ConstrainRAMSpace=no
ConstrainDevices=no
IgnoreSystemd=yes
"""


def missing() -> str | None:
    """Why there can be none here, if so."""
    absent = [name for name in (*DAEMONS, "sbatch") if shutil.which(name, path=_path()) is None]
    if absent:
        return f"{', '.join(absent)} not installed: apt-get install slurmctld slurmd slurm-client munge"
    return None if os.geteuid() == 0 else "a SLURM of one's own is started as root"


def start(folder: Path) -> None:
    """Start it, and wait until its node takes jobs.

    Raises:
        RuntimeError: it did not start; what its daemons wrote is in the message.
    """
    folder = folder.absolute()
    for name in ("munge", "state", "spool", "bin"):
        (folder / name).mkdir(parents=True)
    (folder / "munge").chmod(0o755)
    key = folder / "munge" / "key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    host = socket.gethostname().partition(".")[0]
    controller, node = _free_ports(2)
    settings = CONFIGURATION.format(folder=folder, host=host, controller=controller, node=node)
    (folder / "slurm.conf").write_text(settings)
    (folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File=/dev/null\n")
    (folder / "cgroup.conf").write_text(CGROUPS)
    for name in CLIENTS:
        wrapper = folder / "bin" / name
        known = f"SLURM_CONF={shlex.quote(str(folder / 'slurm.conf'))}"
        wrapper.write_text(f'#!/bin/sh\n{known} exec {shutil.which(name, path=_path())} "$@"\n')
        wrapper.chmod(0o755)
    munge = [f"--{name}-file={folder}/munge/{name}" for name in ("key", "log", "pid", "seed")]
    _daemon(folder, "munged", "--force", f"--socket={folder}/munge/socket", *munge)
    _daemon(folder, "slurmctld", "-f", f"{folder}/slurm.conf")
    _daemon(folder, "slurmd", "-f", f"{folder}/slurm.conf")
    ask = [str(folder / "bin" / "sinfo"), "--noheader", "--format=%T"]
    end = time.monotonic() + SECONDS
    while subprocess.run(ask, capture_output=True, text=True).stdout.strip() != "idle":
        if time.monotonic() > end:
            told = {path.name: path.read_text()[-2000:] for path in folder.glob("*.log")}
            stop(folder)
            raise RuntimeError(f"SLURM did not start: {told}")
        time.sleep(0.2)


def stop(folder: Path) -> None:
    """End its jobs and its daemons; what they wrote stays."""
    folder = folder.absolute()
    running = {name: _pid(file) for name, file in _pid_files(folder).items()}
    if running["slurmctld"]:
        subprocess.run([str(folder / "bin" / "scancel"), "--signal=KILL", "--full", "--me"], capture_output=True)
        subprocess.run([str(folder / "bin" / "scancel"), "--me"], capture_output=True)
    for name in ("slurmctld", "slurmd", "munged"):
        if pid := running[name]:
            os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + SECONDS
    for pid in filter(None, running.values()):
        while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
            time.sleep(0.1)
        if Path(f"/proc/{pid}").exists():
            os.kill(pid, signal.SIGKILL)


def _pid_files(folder: Path) -> dict[str, Path]:
    pids = {name: folder / f"{name}.pid" for name in ("slurmctld", "slurmd")}
    return pids | {"munged": folder / "munge" / "pid"}


def _pid(file: Path) -> int | None:
    """The process that wrote ``file``, unless it has ended and its number is another's."""
    try:
        pid = int(file.read_text())
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except (OSError, ValueError):
        return None
    return pid if name in DAEMONS else None


def _daemon(folder: Path, name: str, *options: str) -> None:
    program = shutil.which(name, path=_path())
    assert program is not None
    log = folder / f"{name}.started.log"
    with log.open("w") as stream:  # not a pipe, which the daemon would hold open
        code = subprocess.run([program, *options], stdout=stream, stderr=stream).returncode
    if code:
        told = log.read_text()[-2000:]
        stop(folder)
        raise RuntimeError(f"{name} ended with {code}: {told}")


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


if __name__ == "__main__":
    {"start": start, "stop": stop}[sys.argv[1]](Path(sys.argv[2]))
