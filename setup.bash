# Enter the workspace: `. ./setup.bash`. Puts ROS 2, the nodes and the `emghand` command
# on the path.
_emghand_root="$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")" && pwd)"
if [ ! -f "$_emghand_root/install/setup.bash" ]; then
  echo "emghand: not built yet, run 'make setup' in $_emghand_root first" >&2
  unset _emghand_root
  return 1 2>/dev/null || exit 1
fi
if [ -z "${ROS_DISTRO:-}" ] && [ -d "$_emghand_root/.venv" ]; then
  . "$_emghand_root/.venv/bin/activate"
  _emghand_own_ros=1
  # A variable of another environment's ROS 2 would keep this one from finding its libraries.
  unset _ROS_WHEELS_BOOTSTRAP_COMPLETE
  case ":${AMENT_PREFIX_PATH:-}:" in *":$VIRTUAL_ENV:"*) ;; *)
    export AMENT_PREFIX_PATH="$VIRTUAL_ENV${AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}" ;;
  esac
fi
# The scripts of ROS 2 use unset variables, which a shell under `set -u` would not forgive.
case $- in *u*) _emghand_nounset=1; set +u ;; *) _emghand_nounset= ;; esac
. "$_emghand_root/install/setup.bash"
if [ -n "$_emghand_nounset" ]; then set -u; fi
for _emghand_folder in "$_emghand_root"/install/*/lib/*/; do
  case "$_emghand_folder" in */python*) ;; *) PATH="${_emghand_folder%/}:$PATH" ;; esac
done
export PATH EMGHAND_ROOT="$_emghand_root"
# Nothing leaves this machine unless the user opens it. The profile does the same as LOCALHOST, but
# a command finds the graph within 0.3 s instead of 3 s.
export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
if [ -n "${_emghand_own_ros:-}" ] && [ -z "${FASTDDS_DEFAULT_PROFILES_FILE:-}" ] &&
  [ "$ROS_AUTOMATIC_DISCOVERY_RANGE" = LOCALHOST ]; then
  export FASTDDS_DEFAULT_PROFILES_FILE="$_emghand_root/config/loopback.xml"
  export ROS_AUTOMATIC_DISCOVERY_RANGE=SYSTEM_DEFAULT EMGHAND_DISCOVERY=SYSTEM_DEFAULT
fi
# Through shared memory, a process that is killed while it makes its segment would hang for ever
# whoever sends to it next.
export FASTDDS_BUILTIN_TRANSPORTS="${FASTDDS_BUILTIN_TRANSPORTS:-UDPv4}"
# One thread is fastest for matrices of this size, and leaves the other cores to the other nodes.
export OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}"
if [ -z "${DISPLAY:-}" ] && [ -z "${WAYLAND_DISPLAY:-}" ]; then export MUJOCO_GL="${MUJOCO_GL:-egl}"; fi
unset _emghand_root _emghand_nounset _emghand_folder _emghand_own_ros
