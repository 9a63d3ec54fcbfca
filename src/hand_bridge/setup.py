from setuptools import find_packages, setup

package_name = "hand_bridge"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    package_data={package_name: ["models/*.xml", "models/*.yaml"]},
    zip_safe=False,
    maintainer="emghand maintainers",
    maintainer_email="emghand@example.org",
    description="Moves a MuJoCo hand or a serial servo hand, safely.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "mujoco_bridge = hand_bridge.mujoco_bridge:main",
            "servo_bridge = hand_bridge.servo_bridge:main",
        ],
    },
)
