#!/usr/bin/env bash
# From an existing Google Cloud project to a running pipeline:
#
#   cp deploy/config.env my.env && $EDITOR my.env && deploy/deploy.sh my.env
#
# It may be interrupted and run again: it looks first, changes what differs, and nothing else.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/run" up "$@"
