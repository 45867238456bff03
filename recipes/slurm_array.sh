#!/usr/bin/env bash
# Evaluates in the tasks of a Slurm array, and joins their shards once all are done:
#
#     recipes/slurm_array.sh TASKS OUTPUT MODEL... --data DATA [options of rankscope evaluate]
#     recipes/slurm_array.sh 8 runs/mine facebook/opt-125m --data dolly-15k --limit 5000
#
# OUTPUT is a folder that all nodes see, or an address such as s3://BUCKET/runs/mine. What each task needs is set with
# Slurm's own variables: SBATCH_PARTITION=gpu SBATCH_GPUS_PER_TASK=1 SBATCH_TIMELIMIT=2:00:00 SBATCH_REQUEUE=1.
# A task that failed is given again by itself, or all of them: batches that are there are not measured twice.
set -euo pipefail
if [ $# -lt 4 ]; then
    sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
tasks=$1 output=$2
shift 2

quoted() {
    printf '%q ' "$@"
}

array=$(sbatch --parsable --job-name=rankscope --array="0-$((tasks - 1))" \
    --wrap="$(quoted rankscope evaluate "$@" --output "$output" --shard auto)")
array=${array%%;*} # a cluster's name may follow
merge=$(sbatch --parsable --job-name=rankscope-merge --dependency="afterok:$array" \
    --wrap="$(quoted rankscope merge "$output" --output "$output")")
echo "shards are job $array, the merge is job ${merge%%;*}"
