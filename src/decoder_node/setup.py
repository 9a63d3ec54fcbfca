from setuptools import find_packages, setup

package_name = "decoder_node"

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
    description="Raw EMG to features, features to DOF estimates.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "feature_node = decoder_node.feature_node:main",
            "decoder_node = decoder_node.decoder_node:main",
            "composed = decoder_node.composed:main",
        ],
    },
)
