#!/bin/bash
# A sweep on Slurm, for `sbatch clusters/slurm.sh jobs/digits.yaml /shared/digits`, from the repository's root: a Ray on
# all nodes of the allocation, the sweep on it, and no Ray left afterwards. How to go on: clusters/README.md
#
# Before: `make quickstart` in the repository, which all nodes see under the same path, once. Fill in:
#   FILL_IN_PARTITION         the partition with the GPUs
#   FILL_IN_ACCOUNT           the account that pays
# and look at nodes, GPUs and time. Whole nodes only (--exclusive): `ray symmetric-run` ends with `ray stop`, which stops
# every Ray of the user on a node. Preempted, it is in the queue again by itself (--requeue); out of time, submit it again: it does what is missing.
#SBATCH --job-name=mcdist
#SBATCH --partition=FILL_IN_PARTITION
#SBATCH --account=FILL_IN_ACCOUNT
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --gpus-per-node=4
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=mcdist-%j.log
set -euo pipefail

[ $# -ge 2 ] || { echo "usage: sbatch clusters/slurm.sh SPEC STORE [further arguments of mcdist run]" >&2; exit 2; }
spec=$1 store=$2
shift 2
source "${MCDIST_ENV:-.venv}/bin/activate"

# one token for this allocation, in a file that its owner alone can read: arguments of commands are seen by everyone
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH=$PWD/.ray-token-$SLURM_JOB_ID
(umask 077 && python -c 'import secrets; print(secrets.token_hex(32), end="")' > "$RAY_AUTH_TOKEN_PATH")
trap 'rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT

mapfile -t hosts < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${hosts[0]}
port=$((20000 + SLURM_JOB_ID % 10000))  # of this allocation
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300

# on the first node a head and `mcdist run`, on the others workers; srun's step ends where mcdist does
srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --kill-on-bad-exit=1 \
    ray symmetric-run --address "$head:$port" --min-nodes "$SLURM_JOB_NUM_NODES" --disable-usage-stats -- \
    python -m mcdist run "$spec" --store "$store" --address "$head:$port" "$@"
