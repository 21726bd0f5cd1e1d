# The environment of this checkout, for bash:  . scripts/env.sh
# It changes nothing on disk and needs scripts/setup.sh to have run once.

VLA_ROS_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export VLA_ROS_ROOT
if [[ ! -f $VLA_ROS_ROOT/build/stamp ]]; then
  echo "vla_ros is not set up yet; run: make setup" >&2
  return 1
fi

. "$VLA_ROS_ROOT/scripts/environment.bash"
_vla_ros_mode=$(<"$VLA_ROS_ROOT/.venv/ros_mode")
enter_ros "$_vla_ros_mode" || return 1
if [[ $_vla_ros_mode == wheels ]]; then
  # The wheels' start-up hook would set these and then start every Python process a second time.
  export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
  # What ROS, Matplotlib and Mesa would leave in the home folder stays in the checkout.
  export ROS_HOME=${ROS_HOME:-$VLA_ROS_ROOT/.cache/ros} XDG_CACHE_HOME=${XDG_CACHE_HOME:-$VLA_ROS_ROOT/.cache}
  LD_LIBRARY_PATH=$(printf '%s:' "$VLA_ROS_ROOT/.venv/lib" "$VLA_ROS_ROOT"/.venv/lib/python3.*/site-packages/ros_*.libs)${LD_LIBRARY_PATH:-}
  export LD_LIBRARY_PATH=${LD_LIBRARY_PATH%:}
fi
export VIRTUAL_ENV=$VLA_ROS_ROOT/.venv
export PATH=$VIRTUAL_ENV/bin:$(without_folders "$PATH" "$VIRTUAL_ENV")
. "$VLA_ROS_ROOT/install/local_setup.bash"
unset _vla_ros_mode
unset -f foreign_prefixes choose_mode without_folders leave_ros enter_ros

# Within one machine nodes speak by UDP, those with raw images through shared memory too: docs/adr/0014-transport.md. A profile of the user's own is
# for all. Ours keep to this machine themselves (the nodes look whether they do): told to (LOCALHOST), ROS would add shared memory to all of them.
_vla_ros_config=$VLA_ROS_ROOT/install/vla_ros/share/vla_ros/config
if [[ ${FASTDDS_DEFAULT_PROFILES_FILE:-} == "$_vla_ros_config"/* ]]; then # from an earlier time, perhaps for another range
  unset FASTDDS_DEFAULT_PROFILES_FILE VLA_ROS_IMAGE_PROFILES
  [[ ${ROS_AUTOMATIC_DISCOVERY_RANGE:-} != SYSTEM_DEFAULT ]] || unset ROS_AUTOMATIC_DISCOVERY_RANGE
fi
VLA_ROS_THIS_MACHINE=false
if [[ -n ${FASTDDS_DEFAULT_PROFILES_FILE:-} || ${RMW_IMPLEMENTATION:-rmw_fastrtps_cpp} != rmw_fastrtps* ]]; then
  ROS_AUTOMATIC_DISCOVERY_RANGE=${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}
elif [[ ${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST} == LOCALHOST && -z ${ROS_STATIC_PEERS:-} ]]; then
  FASTDDS_DEFAULT_PROFILES_FILE=$_vla_ros_config/fastdds.xml
  VLA_ROS_IMAGE_PROFILES=${VLA_ROS_IMAGE_PROFILES:-$_vla_ros_config/fastdds_images.xml}
  ROS_AUTOMATIC_DISCOVERY_RANGE=SYSTEM_DEFAULT VLA_ROS_THIS_MACHINE=true
else
  FASTDDS_DEFAULT_PROFILES_FILE=$_vla_ros_config/fastdds_network.xml
  ROS_AUTOMATIC_DISCOVERY_RANGE=${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}
fi
[[ -z ${FASTDDS_DEFAULT_PROFILES_FILE:-} ]] || export FASTDDS_DEFAULT_PROFILES_FILE VLA_ROS_IMAGE_PROFILES=${VLA_ROS_IMAGE_PROFILES:-$FASTDDS_DEFAULT_PROFILES_FILE}
export ROS_AUTOMATIC_DISCOVERY_RANGE VLA_ROS_THIS_MACHINE
unset _vla_ros_config
export ROS_LOG_DIR=${ROS_LOG_DIR:-$VLA_ROS_ROOT/log/ros}
export MUJOCO_GL=${MUJOCO_GL:-egl}
# Without its bytecode each of a dozen processes compiles what it imports anew, which takes 40 s instead of 10 s.
unset PYTHONDONTWRITEBYTECODE
# A dozen processes share the cores: a thread pool in each of them only makes them wait for one another.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} OPENBLAS_NUM_THREADS=${OPENBLAS_NUM_THREADS:-1}
