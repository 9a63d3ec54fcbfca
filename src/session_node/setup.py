from setuptools import find_packages, setup

package_name = "session_node"

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
    description="Action servers for collecting, testing and training.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "session_node = session_node.node:main",
            "perturbation_node = session_node.perturbation_node:main",
            "sound_node = session_node.sound_node:main",
            "protocol_node = session_node.protocol_node:main",
            "simulated_user = session_node.simulated_user:main",
        ],
    },
)
