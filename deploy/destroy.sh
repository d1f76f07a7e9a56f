#!/usr/bin/env bash
# Takes down what deploy.sh has made, with all that lies in it; asks first, unless told --yes:
#
#   deploy/destroy.sh my.env
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/run" down "$@"
