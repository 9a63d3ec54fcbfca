from setuptools import find_packages, setup

package_name = "bag_tools"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="emghand maintainers",
    maintainer_email="emghand@example.org",
    description="Records and plays rosbag2 (MCAP) bags without rosbag2.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "bag_recorder = bag_tools.recorder:main",
            "bag_player = bag_tools.player:main",
        ],
    },
)
