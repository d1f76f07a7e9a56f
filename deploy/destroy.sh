#!/usr/bin/env bash
# Deletes what deploy.sh created, with everything in it. Asks first, unless you pass --yes:
#
#   deploy/destroy.sh my.env
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/run" down "$@"
