"""Records and plays rosbag2 (MCAP) bags without rosbag2."""
