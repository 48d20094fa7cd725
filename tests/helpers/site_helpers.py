"""Distributions written as pip would install them."""

HOOK = "from a2sb_core.plugins import hookimpl\n\n@hookimpl\ndef a2sb_register(registrar):\n"
PART = """
from a2sb_core.interfaces import ComponentConfig, Sampler

class Part(Sampler):
    class Config(ComponentConfig):
        name: str = "{name}"

    def sample(self, denoiser, bridge, x1, missing, noise, on_step=None):
        return x1
"""


def write_distribution(site, distribution, source, version="1.2", point="main", part=None):
    """Install a distribution of one plugin module, and one of parts beside it."""
    module = distribution.replace("-", "_")
    (site / f"{module}.py").write_text(source)
    if part is not None:
        (site / f"{module}_parts.py").write_text(part)
    info = site / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
    )
    (info / "entry_points.txt").write_text(f"[a2sb]\n{point} = {module}\n")


def write_sampler(site, distribution, name, **more):
    """Install a distribution that adds a sampler."""
    parts = f"{distribution.replace('-', '_')}_parts"
    source = f'{HOOK}    registrar.add("sampler", "{name}", "{parts}:Part", summary="one more")\n'
    write_distribution(site, distribution, source, part=PART.replace("{name}", name), **more)
