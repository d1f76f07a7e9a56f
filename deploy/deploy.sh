#!/usr/bin/env bash
# From an existing Google Cloud project to a running pipeline:
#
#   cp deploy/config.env my.env && $EDITOR my.env && deploy/deploy.sh my.env
#
# You can interrupt it and run it again: it compares first, and changes only what differs.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/run" up "$@"
