from setuptools import find_packages, setup

package_name = "host_node"

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
    description="Clock, ports and allowed processes of a host.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "host_node = host_node.host_node:main",
            "clock_node = host_node.clock_node:main",
            "port_node = host_node.port_node:main",
        ],
    },
)
