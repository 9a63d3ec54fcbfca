from setuptools import find_packages, setup

package_name = "emghand"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={
        "emghand.progress": ["*.yaml", "migrations/*.py", "migrations/versions/*.py"],
        "emghand.report": ["*.css"],
        "emghand.storage.datasets": ["*.csv"],
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=[
        "joblib",
        "mcap",
        "numpy",
        "pyserial",
        "pyyaml",
        "rich",
        "rosbags",
        "scikit-learn",
        "scipy",
        "threadpoolctl",
        "zstandard",
    ],
    extras_require={
        "dask": ["dask", "distributed"],
        "plot": ["matplotlib"],
        "postgres": ["psycopg[binary]"],
        "progress": ["alembic", "pandas", "pyarrow", "sqlalchemy>=2"],
        "s3": ["boto3"],
        "torch": ["torch"],
    },
    zip_safe=True,
    maintainer="emghand maintainers",
    maintainer_email="emghand@example.org",
    description="Science of a myoelectric hand: signals, decoding, control, evaluation, storage.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "emghand = emghand.cli.main:main",
        ],
    },
)
