import subprocess
import sys

from a2sb_backbones import plugin
from a2sb_core.plugins import Registrar


def test_every_name_leads_to_its_component():
    from a2sb_core.plugins import default_registry

    registrar = Registrar("a2sb_backbones", "a2sb", "0")
    plugin.a2sb_register(registrar)
    for entry in registrar.entries:
        component = default_registry().resolve(entry.kind, entry.name)
        if entry.kind == "model":
            assert any((component / name).is_file() for name in ("config.json", "source.yaml"))
            continue
        assert component.Config.model_fields["name"].default == entry.name
        assert entry.summary


def test_listing_imports_no_network():
    code = "import sys, a2sb_backbones.plugin; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
